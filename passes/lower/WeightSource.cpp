#include "passes/lower/WeightSource.h"

#include "dialects/moe/MoeDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/SmallBitVector.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace moec {
namespace {

using Piece = WeightSource::Piece;

void changeViews(Piece &piece, function_ref<void(WeightView &)> change) {
  change(piece.elements);
  for (std::optional<WeightView> *parameter : {&piece.scales, &piece.zeros})
    if (*parameter)
      change(**parameter);
}

WeightSource whole(const WeightView &view) {
  WeightSource source;
  source.sizes = view.sizes;
  source.pieces.push_back({SmallVector<int64_t>(view.sizes.size(), 0), view, {}, {}});
  return source;
}

std::optional<WeightSource> dequantised(moe::DequantizeOp op) {
  // Where the floats are rounded, the integers do not stand for them.
  if (!op.getElement().isF32() || !isa<Float32Type>(getElementTypeOrSelf(op.getScales())))
    return std::nullopt;
  std::optional<WeightView> elements = WeightView::of(op.getX());
  std::optional<WeightView> scales = WeightView::of(op.getScales());
  std::optional<WeightView> zeros =
      op.getZeroPoints() ? WeightView::of(op.getZeroPoints()) : std::nullopt;
  if (!elements || !scales || (op.getZeroPoints() && !zeros))
    return std::nullopt;
  WeightSource source = whole(*elements);
  source.pieces.front().scales = scales;
  source.pieces.front().zeros = zeros;
  source.isDequantised = true;
  source.isUnsigned = op.getIsUnsigned();
  source.axis = op.getAxis();
  source.block = op.getBlock();
  return source;
}

std::optional<WeightSource> transposed(linalg::TransposeOp op) {
  std::optional<WeightSource> source = WeightSource::of(op.getInput());
  return source ? std::optional(source->permuted(op.getPermutation())) : std::nullopt;
}

/// A dimension of one element, at `dim`.
void insertUnit(Piece &piece, int64_t dim) {
  changeViews(piece, [&](WeightView &view) {
    view.sizes.insert(view.sizes.begin() + dim, 1);
    view.strides.insert(view.strides.begin() + dim, 0);
  });
  piece.offset.insert(piece.offset.begin() + dim, 0);
}

/// The tensor with dimensions of one element at each of `dims`, ascending.
void insertUnits(WeightSource &source, ArrayRef<int64_t> dims) {
  for (int64_t dim : dims) {
    source.sizes.insert(source.sizes.begin() + dim, 1);
    for (Piece &piece : source.pieces)
      insertUnit(piece, dim);
    if (dim <= source.axis)
      ++source.axis;
  }
}

/// Tensors that gain dimensions of one element.
std::optional<WeightSource> expanded(tensor::ExpandShapeOp op) {
  std::optional<WeightSource> source = WeightSource::of(op.getSrc());
  if (!source || !op.getResultType().hasStaticShape())
    return std::nullopt;
  SmallVector<int64_t> units;
  for (auto [from, group] : llvm::enumerate(op.getReassociationIndices())) {
    // The dimension stays where its elements are, or at the end if it has one.
    int64_t kept = group.back();
    for (int64_t dim : group)
      if (op.getResultType().getDimSize(dim) != 1)
        kept = dim;
    if (op.getResultType().getDimSize(kept) != source->sizes[from])
      return std::nullopt;
    for (int64_t dim : group)
      if (dim != kept)
        units.push_back(dim);
  }
  insertUnits(*source, units);
  return source;
}

bool areDisjoint(ArrayRef<int64_t> offsetA, ArrayRef<int64_t> sizeA, ArrayRef<int64_t> offsetB,
                 ArrayRef<int64_t> sizeB) {
  for (size_t dim = 0; dim < sizeA.size(); ++dim)
    if (offsetA[dim] + sizeA[dim] <= offsetB[dim] || offsetB[dim] + sizeB[dim] <= offsetA[dim])
      return true;
  return false;
}

bool fill(const WeightSource &source) {
  int64_t elements = 0;
  for (auto [i, piece] : llvm::enumerate(source.pieces)) {
    elements += ShapedType::getNumElements(piece.elements.sizes);
    for (const Piece &other : ArrayRef(source.pieces).take_front(i))
      if (!areDisjoint(piece.offset, piece.elements.sizes, other.offset, other.elements.sizes))
        return false;
  }
  return elements == ShapedType::getNumElements(source.sizes);
}

bool areAlike(const WeightSource &a, const WeightSource &b) {
  return a.isDequantised == b.isDequantised && a.isUnsigned == b.isUnsigned && a.axis == b.axis &&
         a.block == b.block;
}

/// What one tensor.insert_slice adds.
bool addPart(WeightSource &result, tensor::InsertSliceOp op) {
  std::optional<WeightSource> part = WeightSource::of(op.getSource());
  if (!part || !op.hasUnitStride() || llvm::any_of(op.getStaticOffsets(), ShapedType::isDynamic))
    return false;
  llvm::SmallBitVector dropped = op.getDroppedDims();
  insertUnits(*part, llvm::to_vector_of<int64_t>(dropped.set_bits()));
  if (result.pieces.empty()) {
    result = *part;
    result.pieces.clear();
  } else if (!areAlike(result, *part)) {
    return false;
  }
  for (Piece &piece : part->pieces) {
    for (auto [offset, start] : llvm::zip_equal(piece.offset, op.getStaticOffsets()))
      offset += start;
    result.pieces.push_back(piece);
  }
  return true;
}

/// Tensors that are joined: insertions into a tensor of which nothing else is
/// left.
std::optional<WeightSource> joined(tensor::InsertSliceOp last) {
  if (!last.getType().hasStaticShape())
    return std::nullopt;
  WeightSource result;
  Value dest = last.getResult();
  while (auto op = dest.getDefiningOp<tensor::InsertSliceOp>()) {
    if (!addPart(result, op))
      return std::nullopt;
    dest = op.getDest();
  }
  result.sizes = llvm::to_vector(last.getType().getShape());
  std::reverse(result.pieces.begin(), result.pieces.end());
  return fill(result) ? std::optional(result) : std::nullopt;
}

} // namespace

std::optional<WeightSource> WeightSource::of(Value tensor) {
  if (std::optional<WeightView> view = WeightView::of(tensor))
    return whole(*view);
  Operation *op = tensor.getDefiningOp();
  if (!op)
    return std::nullopt;
  return llvm::TypeSwitch<Operation *, std::optional<WeightSource>>(op)
      .Case([](moe::DequantizeOp op) { return dequantised(op); })
      .Case([](linalg::TransposeOp op) { return transposed(op); })
      .Case([](tensor::ExpandShapeOp op) { return expanded(op); })
      .Case([](tensor::InsertSliceOp op) { return joined(op); })
      .Case([](tensor::CastOp op) { return WeightSource::of(op.getSource()); })
      .Default([](Operation *) { return std::nullopt; });
}

std::optional<WeightSource> WeightSource::asMatrices() const {
  WeightSource result = *this;
  if (sizes.size() == 2)
    insertUnits(result, {0});
  return result.sizes.size() == 3 ? std::optional(result) : std::nullopt;
}

WeightSource WeightSource::permuted(ArrayRef<int64_t> order) const {
  auto permute = [&](ArrayRef<int64_t> list) {
    return llvm::map_to_vector(order, [&](int64_t dim) { return list[dim]; });
  };
  WeightSource result = *this;
  result.sizes = permute(sizes);
  result.axis = llvm::find(order, axis) - order.begin();
  for (Piece &piece : result.pieces) {
    piece.offset = permute(piece.offset);
    changeViews(piece, [&](WeightView &view) {
      view.sizes = permute(view.sizes);
      view.strides = permute(view.strides);
    });
  }
  return result;
}

} // namespace moec
