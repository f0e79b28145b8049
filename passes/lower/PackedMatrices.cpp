#include "passes/lower/PackedMatrices.h"

#include "lib/weights/Quantize.h"
#include "passes/lower/WeightView.h"

using namespace mlir;

namespace moec {
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

/// Appends the rows of a part. Floats of several types become f32.
bool append(PackStep &step, std::optional<MatrixPart> part) {
  std::optional<WeightType> type = part ? weightType(part->element) : std::nullopt;
  if (!type || (!step.parts.empty() && (part->groups != step.layout.groups ||
                                        isInteger(*type) != isInteger(step.layout.element))))
    return false;
  if (step.parts.empty())
    step.layout.element = *type;
  else if (step.layout.element != *type)
    step.layout.element = WeightType::f32;
  part->row = step.layout.n;
  step.layout.n += part->rows;
  step.layout.groups = part->groups;
  step.parts.push_back(*part);
  return true;
}

std::optional<MatrixPart> partOf(Value tensor, int64_t bits = 8) {
  std::optional<WeightView> view = WeightView::of(tensor);
  return view ? view->asMatrixPart(bits) : std::nullopt;
}

/// Zero points [E,N,blocks], or bytes: packed along blocks, or, of one block,
/// along rows.
std::optional<MatrixPart> zeroPart(Value zeros, int64_t rows, int64_t bits, int64_t blocks) {
  std::optional<MatrixPart> part = partOf(zeros, bits);
  if (!part || cast<ShapedType>(zeros.getType()).getRank() == 3)
    return part;
  if (blocks != 1)
    return std::nullopt;
  part->groups = part->rows;
  part->rows = rows;
  part->strides = {part->strides[1], 1, 1};
  return part;
}

/// The last dimension of a tensor.
int64_t columnsOf(Value tensor) { return cast<ShapedType>(tensor.getType()).getShape().back(); }

/// What integers of `layout` are scaled by.
bool appendParameters(PackedMatrices &result, const moe::Matrix &matrix, int64_t rows) {
  const PackedLayout &layout = result.elements.layout;
  int64_t bits = bitsOf(layout.element), blocks = layout.blocks();
  if (columnsOf(matrix.scales) != blocks || !append(*result.scales, partOf(matrix.scales)))
    return false;
  if (!matrix.zeroPoints)
    return !result.zeros;
  return result.zeros && append(*result.zeros, zeroPart(matrix.zeroPoints, rows, bits, blocks));
}

/// What stands beside a packed matrix: one column per block, zero points of
/// integers a byte each.
void finishParameters(PackStep &step, const PackedLayout &layout) {
  WeightType type = isInteger(step.layout.element) ? WeightType::int8 : step.layout.element;
  step.layout = layout.perBlock(type);
}

} // namespace

std::optional<PackedMatrices> PackedMatrices::of(ArrayRef<moe::Matrix> matrices,
                                                 moe::QuantAttr quant, int64_t k, GateRows gate,
                                                 std::optional<WeightType> type) {
  PackedMatrices result;
  PackedLayout &layout = result.elements.layout;
  if (ShapedType::isDynamic(k))
    return std::nullopt;
  layout.k = k;
  layout.gate = gate;
  layout.block = quant && quant.getBlock() < k ? quant.getBlock() : 0;
  if (quant) {
    result.scales.emplace();
    if (matrices[0].zeroPoints)
      result.zeros.emplace();
  }
  for (const moe::Matrix &matrix : matrices) {
    if (!matrix.weights)
      continue;
    std::optional<MatrixPart> part = partOf(matrix.weights, quant ? quant.getBits() : 8);
    if (!part || !append(result.elements, part) ||
        (quant && !appendParameters(result, matrix, part->rows)))
      return std::nullopt;
    if (result.name.empty())
      result.name = WeightView::of(matrix.weights)->name();
  }
  if (quant) {
    finishParameters(*result.scales, layout);
    if (result.zeros)
      finishParameters(*result.zeros, layout);
    layout.inWords();
    // A word does not reach from one block into the next.
    if (layout.block % layout.together != 0)
      return std::nullopt;
  } else {
    result.convertFloats(type);
  }
  return result;
}

std::optional<PackedMatrices> PackedMatrices::ofTransposed(Value w,
                                                           std::optional<WeightType> type) {
  std::optional<WeightView> view = WeightView::of(w);
  if (!view || view->sizes.size() != 2 || !isa<FloatType>(view->element()))
    return std::nullopt;
  std::swap(view->sizes[0], view->sizes[1]);
  std::swap(view->strides[0], view->strides[1]);
  PackedMatrices result;
  if (!append(result.elements, view->asMatrixPart()))
    return std::nullopt;
  result.name = view->name();
  result.elements.layout.k = view->sizes[1];
  result.convertFloats(type);
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
