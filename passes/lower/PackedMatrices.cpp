#include "passes/lower/PackedMatrices.h"

#include "lib/weights/Quantize.h"
#include "passes/lower/WeightSource.h"

using namespace mlir;

namespace moec {

/// The parts of a matrix, or of what belongs to it.
using Parts = std::vector<MatrixPart>;

/// A matrix per group, and where it is.
struct SourceMatrix {
  std::string name;
  int64_t groups, rows;
  Parts elements;
  /// Of integers that an operation scales, with these for each block of
  /// columns; 0: for all.
  bool isScaled = false;
  int64_t block = 0;
  Parts scales = {};
  std::optional<Parts> zeros = {};
};

namespace {

std::optional<WeightType> weightType(Type type) {
  if (type.isF32())
    return WeightType::f32;
  if (type.isF16())
    return WeightType::f16;
  if (type.isBF16())
    return WeightType::bf16;
  if (type.isInteger(8))
    return WeightType::int8;
  if (type.isInteger(4))
    return WeightType::int4;
  if (type.isInteger(2))
    return WeightType::int2;
  return std::nullopt;
}

/// The views of all pieces that `viewOf` gives, as parts; none if one has no such
/// form.
std::optional<Parts> partsOf(const WeightSource &source, int64_t bits,
                             function_ref<WeightView(const WeightSource::Piece &)> viewOf) {
  Parts parts;
  for (const WeightSource::Piece &piece : source.pieces) {
    // Pieces are whole rows.
    if (piece.elements.sizes[2] != source.sizes[2])
      return std::nullopt;
    std::optional<MatrixPart> part = viewOf(piece).asMatrixPart(bits);
    if (!part)
      return std::nullopt;
    part->group = piece.offset[0];
    part->row = piece.offset[1];
    part->isSigned = source.isDequantised && !source.isUnsigned && isa<IntegerType>(part->element);
    parts.push_back(*part);
  }
  return parts;
}

std::optional<WeightSource> matricesOf(Value tensor) {
  std::optional<WeightSource> source = WeightSource::of(tensor);
  return source ? source->asMatrices() : std::nullopt;
}

std::optional<Parts> elementsOf(const std::optional<WeightSource> &source, int64_t bits = 8) {
  return source ? partsOf(*source, bits, [](const auto &piece) { return piece.elements; })
                : std::nullopt;
}

/// Zero points [E,N,blocks], or bytes: packed along blocks, or, of one block,
/// along rows.
std::optional<Parts> zeroParts(Value zeros, int64_t rows, int64_t bits, int64_t blocks) {
  std::optional<Parts> parts = elementsOf(matricesOf(zeros), bits);
  if (!parts || cast<ShapedType>(zeros.getType()).getRank() == 3)
    return parts;
  if (blocks != 1 || parts->size() != 1)
    return std::nullopt;
  MatrixPart &part = parts->front();
  part.groups = part.rows;
  part.rows = rows;
  part.strides = {part.strides[1], 1, 1};
  return parts;
}

/// What belongs to integers, for each of their rows: one for all rows where the
/// stride is 0.
WeightView perRow(WeightView parameter, const WeightView &elements) {
  for (int64_t dim : {0, 1})
    if (parameter.sizes[dim] == 1) {
      parameter.sizes[dim] = elements.sizes[dim];
      parameter.strides[dim] = 0;
    }
  return parameter;
}

/// Zero points of integers that have none and are not signed.
Parts noZeros(const Parts &elements, int64_t blocks) {
  Parts zeros = elements;
  for (MatrixPart &part : zeros) {
    part.file.clear();
    part.offset = 0;
    part.element = IntegerType::get(part.element.getContext(), 8);
    part.strides = {0, 0, 1};
    part.bytes.assign(blocks, 0);
  }
  return zeros;
}

/// What a moe.dequantize of weights is made of.
bool takeDequantised(SourceMatrix &matrix, const WeightSource &source) {
  int64_t columns = source.sizes[2], blocks = source.pieces.front().scales->sizes[2];
  if (blocks > 1 && (source.axis != 2 || source.block == 0))
    return false;
  matrix.isScaled = true;
  matrix.block = blocks > 1 ? source.block : 0;
  auto parameters = [&](auto member) {
    return partsOf(source, 8, [&](const WeightSource::Piece &piece) {
      return perRow(*(piece.*member), piece.elements);
    });
  };
  auto fits = [&](const WeightSource::Piece &piece) {
    WeightView scales = perRow(*piece.scales, piece.elements);
    return ArrayRef(scales.sizes).take_front(2) == ArrayRef(piece.elements.sizes).take_front(2) &&
           scales.sizes[2] == blocks && piece.elements.sizes[2] == columns &&
           piece.zeros.has_value() == source.pieces.front().zeros.has_value();
  };
  if (!llvm::all_of(source.pieces, fits))
    return false;
  std::optional<Parts> scales = parameters(&WeightSource::Piece::scales);
  if (source.pieces.front().zeros)
    matrix.zeros = parameters(&WeightSource::Piece::zeros);
  else if (source.isUnsigned)
    matrix.zeros = noZeros(matrix.elements, blocks);
  if (!scales || (source.pieces.front().zeros && !matrix.zeros))
    return false;
  matrix.scales = *scales;
  return true;
}

/// What an operation with #moe.quant scales.
bool takeQuantised(SourceMatrix &result, const moe::Matrix &matrix, moe::QuantAttr quant,
                   int64_t k) {
  result.isScaled = true;
  result.block = quant.getBlock() < k ? quant.getBlock() : 0;
  int64_t blocks = result.block ? llvm::divideCeil(k, result.block) : 1;
  if (cast<ShapedType>(matrix.scales.getType()).getShape().back() != blocks)
    return false;
  std::optional<Parts> scales = elementsOf(matricesOf(matrix.scales));
  if (!scales)
    return false;
  result.scales = *scales;
  if (matrix.zeroPoints)
    result.zeros = zeroParts(matrix.zeroPoints, result.rows, quant.getBits(), blocks);
  return !matrix.zeroPoints || result.zeros;
}

/// The matrices of `source`; those of integers under `quant`, if it is one, are
/// in bytes and belong to `matrix`.
std::optional<SourceMatrix> sourceMatrix(const std::optional<WeightSource> &source,
                                         const moe::Matrix &matrix, moe::QuantAttr quant,
                                         int64_t k) {
  std::optional<Parts> elements = elementsOf(source, quant ? quant.getBits() : 8);
  if (!elements || source->sizes[2] * (quant ? 8 / quant.getBits() : 1) < k ||
      (quant && source->isDequantised))
    return std::nullopt;
  SourceMatrix result{source->pieces.front().elements.name(), source->sizes[0], source->sizes[1],
                      *elements};
  if (source->isDequantised)
    return takeDequantised(result, *source) ? std::optional(result) : std::nullopt;
  if (quant)
    return takeQuantised(result, matrix, quant, k) ? std::optional(result) : std::nullopt;
  // Integers alone stand for nothing.
  bool areFloats =
      llvm::all_of(*elements, [](const MatrixPart &part) { return isa<FloatType>(part.element); });
  return areFloats ? std::optional(result) : std::nullopt;
}

/// Appends the rows of parts, which are those of `matrix`. Floats of several
/// types become f32.
bool append(PackStep &step, Parts parts, const SourceMatrix &matrix) {
  for (MatrixPart &part : parts) {
    std::optional<WeightType> type = weightType(part.element);
    if (!type)
      return false;
    WeightType &element = step.layout.element;
    if (step.parts.empty())
      element = *type;
    else if (element != *type && (isInteger(element) || isInteger(*type)))
      return false;
    else if (element != *type)
      element = WeightType::f32;
    part.row += step.layout.n;
    step.parts.push_back(part);
  }
  step.layout.n += matrix.rows;
  step.layout.groups = matrix.groups;
  return true;
}

/// What stands beside a packed matrix: one column per block, zero points of
/// integers a byte each.
void finishParameters(PackStep &step, const PackedLayout &layout) {
  WeightType type = isInteger(step.layout.element) ? WeightType::int8 : step.layout.element;
  step.layout = layout.perBlock(type);
}

} // namespace

bool PackedMatrices::add(const SourceMatrix &matrix) {
  PackedLayout &layout = elements.layout;
  bool isFirst = elements.parts.empty();
  if (isFirst) {
    layout.block = matrix.block;
    if (matrix.isScaled)
      scales.emplace();
    if (matrix.zeros)
      zeros.emplace();
  }
  if (matrix.isScaled != scales.has_value() || matrix.zeros.has_value() != zeros.has_value() ||
      layout.block != matrix.block || (!isFirst && layout.groups != matrix.groups))
    return false;
  return append(elements, matrix.elements, matrix) &&
         (!scales || append(*scales, matrix.scales, matrix)) &&
         (!zeros || append(*zeros, *matrix.zeros, matrix));
}

bool PackedMatrices::finish(std::optional<WeightType> type) {
  PackedLayout &layout = elements.layout;
  if (!scales) {
    convertFloats(type);
    return true;
  }
  finishParameters(*scales, layout);
  if (zeros)
    finishParameters(*zeros, layout);
  layout.inWords();
  // A word does not reach from one block into the next.
  return layout.block % layout.together == 0;
}

std::optional<PackedMatrices> PackedMatrices::of(ArrayRef<moe::Matrix> matrices,
                                                 moe::QuantAttr quant, int64_t k, GateRows gate,
                                                 std::optional<WeightType> type) {
  PackedMatrices result;
  if (ShapedType::isDynamic(k))
    return std::nullopt;
  result.elements.layout.k = k;
  result.elements.layout.gate = gate;
  for (const moe::Matrix &matrix : matrices) {
    if (!matrix.weights)
      continue;
    std::optional<SourceMatrix> source = sourceMatrix(matricesOf(matrix.weights), matrix, quant, k);
    if (!source || !result.add(*source))
      return std::nullopt;
    if (result.name.empty())
      result.name = source->name;
  }
  return result.finish(type) ? std::optional(result) : std::nullopt;
}
std::optional<PackedMatrices> PackedMatrices::ofTransposed(Value w,
                                                           std::optional<WeightType> type) {
  std::optional<WeightSource> source = WeightSource::of(w);
  if (!source || source->sizes.size() != 2)
    return std::nullopt;
  PackedMatrices result;
  int64_t k = result.elements.layout.k = source->sizes[0];
  std::optional<SourceMatrix> matrix =
      sourceMatrix(source->permuted({1, 0}).asMatrices(), {}, {}, k);
  if (!matrix || !result.add(*matrix) || !result.finish(type))
    return std::nullopt;
  result.name = matrix->name;
  return result;
}

void PackedMatrices::convertFloats(std::optional<WeightType> type) {
  PackedLayout &layout = elements.layout;
  layout.element = type.value_or(layout.element);
  if (isInteger(layout.element)) {
    int64_t block = quantisationOf(layout.element).block;
    layout.block = block < layout.k ? block : 0;
    scales = elements;
    scales->scales = true;
  }
  layout.inWords();
}

void PackedMatrices::setWidth(int64_t width) {
  elements.layout.width = width;
  for (std::optional<PackStep> *step : {&scales, &zeros})
    if (*step)
      (*step)->layout.width = width;
}

} // namespace moec
