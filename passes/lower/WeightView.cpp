#include "passes/lower/WeightView.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "llvm/ADT/SmallBitVector.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace moec {
namespace {

std::optional<WeightView> wholeWeight(rt::LoadWeightOp load) {
  auto weight = SymbolTable::lookupNearestSymbolFrom<rt::WeightOp>(load, load.getWeightAttr());
  // What is made by a recipe has no place in a file.
  if (!weight || weight.getRecipe())
    return std::nullopt;
  WeightView view;
  view.weight = weight;
  view.sizes.assign(cast<ShapedType>(weight.getType()).getShape());
  view.strides.resize(view.sizes.size());
  for (int64_t dim = view.sizes.size() - 1, stride = 1; dim >= 0; --dim) {
    view.strides[dim] = stride;
    stride *= view.sizes[dim];
  }
  return view;
}

std::optional<WeightView> transposed(linalg::TransposeOp op) {
  std::optional<WeightView> from = WeightView::of(op.getInput());
  if (!from)
    return std::nullopt;
  WeightView to = *from;
  for (auto [dim, source] : llvm::enumerate(op.getPermutation())) {
    to.sizes[dim] = from->sizes[source];
    to.strides[dim] = from->strides[source];
  }
  return to;
}

std::optional<WeightView> sliced(tensor::ExtractSliceOp op) {
  std::optional<WeightView> view = WeightView::of(op.getSource());
  if (!view || !op.getType().hasStaticShape() ||
      llvm::any_of(op.getStaticOffsets(), ShapedType::isDynamic) ||
      llvm::any_of(op.getStaticStrides(), ShapedType::isDynamic))
    return std::nullopt;
  llvm::SmallBitVector dropped = op.getDroppedDims();
  WeightView result{view->weight, view->offset, {}, {}};
  for (auto [dim, stride] : llvm::enumerate(view->strides)) {
    result.offset += op.getStaticOffsets()[dim] * stride;
    if (dropped.test(dim))
      continue;
    result.sizes.push_back(op.getStaticSizes()[dim]);
    result.strides.push_back(op.getStaticStrides()[dim] * stride);
  }
  return result;
}

std::optional<WeightView> expanded(tensor::ExpandShapeOp op) {
  std::optional<WeightView> view = WeightView::of(op.getSrc());
  if (!view || !op.getResultType().hasStaticShape())
    return std::nullopt;
  WeightView result{view->weight, view->offset, llvm::to_vector(op.getResultType().getShape()), {}};
  result.strides.resize(result.sizes.size());
  for (auto [source, group] : llvm::enumerate(op.getReassociationIndices())) {
    int64_t stride = view->strides[source];
    for (int64_t dim : llvm::reverse(group)) {
      result.strides[dim] = stride;
      stride *= result.sizes[dim];
    }
  }
  return result;
}

std::optional<WeightView> collapsed(tensor::CollapseShapeOp op) {
  std::optional<WeightView> view = WeightView::of(op.getSrc());
  if (!view)
    return std::nullopt;
  WeightView result{view->weight, view->offset, {}, {}};
  for (const ReassociationIndices &group : op.getReassociationIndices()) {
    int64_t size = 1, stride = 1;
    for (int64_t dim : llvm::reverse(group)) {
      if (view->sizes[dim] == 1)
        continue;
      if (size != 1 && view->strides[dim] != stride * size)
        return std::nullopt;
      stride = size == 1 ? view->strides[dim] : stride;
      size *= view->sizes[dim];
    }
    result.sizes.push_back(size);
    result.strides.push_back(stride);
  }
  return result;
}

} // namespace

std::optional<WeightView> WeightView::of(Value tensor) {
  Operation *op = tensor.getDefiningOp();
  if (!op)
    return std::nullopt;
  return llvm::TypeSwitch<Operation *, std::optional<WeightView>>(op)
      .Case([](rt::LoadWeightOp op) { return wholeWeight(op); })
      .Case([](linalg::TransposeOp op) { return transposed(op); })
      .Case([](tensor::ExtractSliceOp op) { return sliced(op); })
      .Case([](tensor::ExpandShapeOp op) { return expanded(op); })
      .Case([](tensor::CollapseShapeOp op) { return collapsed(op); })
      .Case([](tensor::CastOp op) { return WeightView::of(op.getSource()); })
      .Default([](Operation *) { return std::nullopt; });
}

std::optional<MatrixPart> WeightView::asMatrixPart() const {
  Type element = cast<ShapedType>(weight.getType()).getElementType();
  if (!element.isF32() && !element.isF16() && !element.isBF16())
    return std::nullopt;
  WeightView view = *this;
  if (view.sizes.size() == 2) {
    view.sizes.insert(view.sizes.begin(), 1);
    view.strides.insert(view.strides.begin(), 0);
  }
  if (view.sizes.size() != 3 || (view.strides[1] != 1 && view.strides[2] != 1))
    return std::nullopt;
  DictionaryAttr source = weight.getSource();
  MatrixPart part;
  part.file = source.getAs<StringAttr>("file").getValue().str();
  part.offset = source.getAs<IntegerAttr>("offset").getInt() +
                view.offset * element.getIntOrFloatBitWidth() / 8;
  part.element = element;
  part.groups = view.sizes[0];
  part.rows = view.sizes[1];
  llvm::copy(view.strides, part.strides.begin());
  return part;
}

} // namespace moec
