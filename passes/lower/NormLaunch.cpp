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
  /// Another tensor of the shape.
  Value asRows(Value x) {
    if (typeOf(x).getRank() != 2)
      x = tensor::CollapseShapeOp::create(b, x, rowsAt(axis, typeOf(x).getRank()));
    return b.castTo(x, tensorOf(width, typeOf(x).getElementType()));
  }
  Value count() { return b.index(size); }
  /// Scale or bias as a vector.
  Value vectorOf(Value operand) {
    if (typeOf(operand).getRank() > 1)
      operand = tensor::CollapseShapeOp::create(b, operand, allOf(typeOf(operand).getRank()));
    return b.castTo(operand, RankedTensorType::get(width, typeOf(operand).getElementType()));
  }
  Value rowsOutput(Type element) {
    return b.castTo(tensor::EmptyOp::create(b, {size, b.getIndexAttr(width)}, element),
                    tensorOf(width, element));
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

/// A sum that is normalised and otherwise only read later.
struct Skip {
  linalg::GenericOp sum;

  Value x() { return sum.getInputs()[0]; }
  Value addend() { return sum.getInputs()[1]; }
};

bool isSum(linalg::GenericOp op) {
  Block &body = *op.getBody();
  auto add = dyn_cast<arith::AddFOp>(body.front());
  return op.getInputs().size() == 2 && op.getOutputs().size() == 1 && op.getNumLoops() > 0 &&
         op.getNumLoops() == op.getNumParallelLoops() &&
         llvm::all_of(op.getIndexingMapsArray(), [](AffineMap map) { return map.isIdentity(); }) &&
         add && llvm::is_contained(add.getOperands(), body.getArgument(0)) &&
         llvm::is_contained(add.getOperands(), body.getArgument(1)) &&
         body.getTerminator()->getOperand(0) == add.getResult();
}

std::optional<Skip> skipOf(Operation *norm, Value x) {
  auto sum = x.getDefiningOp<linalg::GenericOp>();
  if (!sum || sum->getBlock() != norm->getBlock() || !isSum(sum) ||
      !llvm::all_equal({sum.getInputs()[0].getType(), sum.getInputs()[1].getType(), x.getType()}))
    return std::nullopt;
  bool isReadLater = llvm::all_of(sum->getUsers(), [&](Operation *user) {
    Operation *here = norm->getBlock()->findAncestorOpInBlock(*user);
    return here == norm || (here && norm->isBeforeInBlock(here));
  });
  return isReadLater ? std::optional(Skip{sum}) : std::nullopt;
}

/// Launches the kernel for a norm of x, or of what a skip sums; returns its
/// results but for the sum, whose uses are replaced.
template <typename Op>
std::optional<SmallVector<Value>> launchRows(RewriterBase &rewriter, TensorBuilder &b, Op op,
                                             NormSpec norm, ChooseKernel<NormSpec> kernel,
                                             bool addsSkips, ArrayRef<Value> vectors) {
  std::optional<Skip> skip = addsSkips ? skipOf(op, op.getX()) : std::nullopt;
  norm.hasSkip = skip.has_value();
  NormLaunch rows(b, skip ? skip->x() : op.getX(), op.getAxis(), norm.width);
  std::optional<KernelGrid> chosen = kernel(b, norm, rows.count());
  if (!chosen)
    return std::nullopt;
  SmallVector<Value> inputs{rows.input()}, outputs{rows.rowsOutput(norm.element)};
  if (skip) {
    inputs.push_back(rows.asRows(skip->addend()));
    outputs.push_back(rows.rowsOutput(norm.element));
  }
  for (Value vector : vectors)
    inputs.push_back(rows.vectorOf(vector));
  if (norm.hasStatistics)
    outputs.append({rows.statisticOutput(), rows.statisticOutput()});
  SmallVector<Value> results =
      launch(b, chosen->kernel, chosen->grid, inputs, outputs, op->getName().getStringRef());
  results[0] = rows.restored(results[0], op->getResult(0).getType());
  for (size_t i = 1; norm.hasStatistics && i < 3; ++i)
    results[i + norm.hasSkip] =
        rows.restoredStatistic(results[i + norm.hasSkip], op->getResult(i).getType());
  if (skip) {
    rewriter.replaceOp(skip->sum, rows.restored(results[1], skip->sum.getResult(0).getType()));
    results.erase(results.begin() + 1);
  }
  return results;
}

} // namespace

LogicalResult launchNorm(RewriterBase &rewriter, attn::RmsNormOp op, ChooseKernel<NormSpec> kernel,
                         bool addsSkips) {
  std::optional<int64_t> width = widthOf(op.getX(), op.getAxis());
  NormSpec norm{.element = typeOf(op.getX()).getElementType(),
                .scale = typeOf(op.getScale()).getElementType(),
                .width = width.value_or(0),
                .epsilon = op.getEpsilon().convertToDouble()};
  if (!width || !isKernelFloat(norm.scale))
    return failure();
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  std::optional<SmallVector<Value>> results =
      launchRows(rewriter, b, op, norm, kernel, addsSkips, op.getScale());
  if (!results)
    return failure();
  rewriter.replaceOp(op, *results);
  return success();
}

LogicalResult launchNorm(RewriterBase &rewriter, attn::LayerNormOp op,
                         ChooseKernel<NormSpec> kernel, bool addsSkips) {
  std::optional<int64_t> width = widthOf(op.getX(), op.getAxis());
  NormSpec norm{.element = typeOf(op.getX()).getElementType(),
                .scale = typeOf(op.getScale()).getElementType(),
                .width = width.value_or(0),
                .epsilon = op.getEpsilon().convertToDouble(),
                .isCentered = true,
                .hasStatistics = !op.getMean().use_empty() || !op.getInverse().use_empty()};
  SmallVector<Value> vectors{op.getScale()};
  if (op.getBias()) {
    norm.bias = typeOf(op.getBias()).getElementType();
    vectors.push_back(op.getBias());
  }
  if (!width || !isKernelFloat(norm.scale) || (norm.bias && !isKernelFloat(norm.bias)))
    return failure();
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  std::optional<SmallVector<Value>> results =
      launchRows(rewriter, b, op, norm, kernel, addsSkips, vectors);
  if (!results)
    return failure();
  for (auto [result, value] : llvm::zip(op->getResults(), *results))
    rewriter.replaceAllUsesWith(result, value);
  rewriter.eraseOp(op);
  return success();
}

} // namespace moec
