#include "passes/lower/NormLaunch.h"

using namespace mlir;

namespace moec {
namespace {

RankedTensorType typeOf(Value tensor) { return cast<RankedTensorType>(tensor.getType()); }

/// Everything before and from `axis` on: a tensor as rows.
SmallVector<ReassociationIndices> rowsAt(int64_t axis, int64_t rank) {
  return {llvm::to_vector(llvm::seq<int64_t>(0, axis)),
          llvm::to_vector(llvm::seq<int64_t>(axis, rank))};
}

/// The tensors of a norm as rows of `width`, its results as they were.
class NormLaunch {
public:
  NormLaunch(TensorBuilder &b, Value x, int64_t axis, int64_t width)
      : b(b), axis(axis), width(width), shape(b.sizes(x)), rows(asRows(x)), size(b.size(rows, 0)) {}

  Value input() { return rows; }
  Value count() { return b.index(size); }
  /// Scale or bias as a vector.
  Value vectorOf(Value operand) {
    if (typeOf(operand).getRank() > 1)
      operand = tensor::CollapseShapeOp::create(b, operand, allOf(typeOf(operand).getRank()));
    return b.castTo(operand, RankedTensorType::get(width, typeOf(operand).getElementType()));
  }
  Value rowsOutput(Type element) {
    return b.castTo(tensor::EmptyOp::create(b, {size, b.getIndexAttr(width)}, element),
                    RankedTensorType::get({ShapedType::kDynamic, width}, element));
  }
  Value statisticOutput() {
    return b.castTo(tensor::EmptyOp::create(b, size, b.getF32Type()),
                    RankedTensorType::get(ShapedType::kDynamic, b.getF32Type()));
  }

  Value restored(Value y, Type type) {
    int64_t rank = shape.size();
    return b.castTo(expanded(y, shape, rowsAt(axis, rank)), type);
  }
  Value restoredStatistic(Value statistic, Type type) {
    SmallVector<OpFoldResult> sizes(shape);
    std::fill(sizes.begin() + axis, sizes.end(), b.getIndexAttr(1));
    return b.castTo(expanded(statistic, sizes, allOf(sizes.size())), type);
  }

private:
  static SmallVector<ReassociationIndices> allOf(int64_t rank) {
    return {llvm::to_vector(llvm::seq<int64_t>(0, rank))};
  }

  Value asRows(Value x) {
    if (typeOf(x).getRank() != 2)
      x = tensor::CollapseShapeOp::create(b, x, rowsAt(axis, typeOf(x).getRank()));
    return b.castTo(
        x, RankedTensorType::get({ShapedType::kDynamic, width}, typeOf(x).getElementType()));
  }

  Value expanded(Value tensor, ArrayRef<OpFoldResult> sizes, ArrayRef<ReassociationIndices> dims) {
    if (typeOf(tensor).getRank() == static_cast<int64_t>(sizes.size()))
      return tensor;
    SmallVector<int64_t> known;
    for (OpFoldResult size : sizes)
      known.push_back(getConstantIntValue(size).value_or(ShapedType::kDynamic));
    // A tensor of known sizes expands from one.
    SmallVector<int64_t> grouped;
    for (const ReassociationIndices &group : dims) {
      int64_t product = 1;
      for (int64_t dim : group)
        product = ShapedType::isDynamic(product) || ShapedType::isDynamic(known[dim])
                      ? ShapedType::kDynamic
                      : product * known[dim];
      grouped.push_back(product);
    }
    Type element = typeOf(tensor).getElementType();
    tensor = b.castTo(tensor, RankedTensorType::get(grouped, element));
    return tensor::ExpandShapeOp::create(b, RankedTensorType::get(known, element), tensor, dims,
                                         sizes);
  }

  TensorBuilder &b;
  int64_t axis, width;
  SmallVector<OpFoldResult> shape;
  Value rows;
  OpFoldResult size;
};

/// The number of elements of a row, if a kernel can normalise it.
std::optional<int64_t> widthOf(Value x, int64_t axis) {
  int64_t width = 1;
  for (int64_t size : typeOf(x).getShape().drop_front(axis)) {
    if (!isKnownSize(size))
      return std::nullopt;
    width *= size;
  }
  if (axis == 0 || !isKernelFloat(typeOf(x).getElementType()))
    return std::nullopt;
  return width;
}

} // namespace

LogicalResult launchNorm(RewriterBase &rewriter, attn::RmsNormOp op, ChooseKernel<NormSpec> kernel) {
  int64_t axis = op.getAxis();
  std::optional<int64_t> width = widthOf(op.getX(), axis);
  Type element = typeOf(op.getX()).getElementType();
  NormSpec norm{.element = element,
                .scale = typeOf(op.getScale()).getElementType(),
                .width = width.value_or(0),
                .epsilon = op.getEpsilon().convertToDouble()};
  if (!width || !isKernelFloat(norm.scale))
    return failure();
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  NormLaunch rows(b, op.getX(), axis, *width);
  std::optional<KernelGrid> chosen = kernel(b, norm, rows.count());
  if (!chosen)
    return failure();
  Value y = launch(b, chosen->kernel, chosen->grid, {rows.input(), rows.vectorOf(op.getScale())},
                   rows.rowsOutput(element), op->getName().getStringRef())[0];
  rewriter.replaceOp(op, rows.restored(y, op.getType()));
  return success();
}

LogicalResult launchNorm(RewriterBase &rewriter, attn::LayerNormOp op, ChooseKernel<NormSpec> kernel) {
  int64_t axis = op.getAxis();
  std::optional<int64_t> width = widthOf(op.getX(), axis);
  Type element = typeOf(op.getX()).getElementType();
  NormSpec norm{.element = element,
                .scale = typeOf(op.getScale()).getElementType(),
                .width = width.value_or(0),
                .epsilon = op.getEpsilon().convertToDouble(),
                .isCentered = true,
                .hasStatistics = !op.getMean().use_empty() || !op.getInverse().use_empty()};
  if (op.getBias())
    norm.bias = typeOf(op.getBias()).getElementType();
  if (!width || !isKernelFloat(norm.scale) || (norm.bias && !isKernelFloat(norm.bias)))
    return failure();
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  NormLaunch rows(b, op.getX(), axis, *width);
  SmallVector<Value> inputs{rows.input(), rows.vectorOf(op.getScale())};
  if (op.getBias())
    inputs.push_back(rows.vectorOf(op.getBias()));
  SmallVector<Value> outputs{rows.rowsOutput(element)};
  if (norm.hasStatistics)
    outputs.append({rows.statisticOutput(), rows.statisticOutput()});
  std::optional<KernelGrid> chosen = kernel(b, norm, rows.count());
  if (!chosen)
    return failure();
  SmallVector<Value> results =
      launch(b, chosen->kernel, chosen->grid, inputs, outputs, op->getName().getStringRef());
  rewriter.replaceAllUsesWith(op.getResult(), rows.restored(results[0], op.getResult().getType()));
  if (norm.hasStatistics) {
    Value mean = op.getMean(), inverse = op.getInverse();
    rewriter.replaceAllUsesWith(mean, rows.restoredStatistic(results[1], mean.getType()));
    rewriter.replaceAllUsesWith(inverse, rows.restoredStatistic(results[2], inverse.getType()));
  }
  rewriter.eraseOp(op);
  return success();
}

} // namespace moec
