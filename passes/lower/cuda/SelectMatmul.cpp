//===- SelectMatmul.cpp - products by weights become kernels of blocks -----===//
#include "lib/kernels/cuda/Matmul.h"
#include "passes/lower/MatmulOperands.h"
#include "passes/lower/cuda/CudaKernels.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace moec {
namespace {

using Activations = OperandTypes::Activations;

/// Up to so many rows per group, on average, the tile of a size is taken; as
/// measured on an H100 for the experts of Mixtral and Qwen3.
constexpr std::pair<cuda::TileSize, int64_t> kMostRows[] = {{cuda::TileSize::few, 2},
                                                            {cuda::TileSize::some, 12}};

/// What rows of type `x` are multiplied as: narrow floats only by weights of
/// their type and by integers.
Type chooseRows(Activations wanted, WeightType weights, Type x) {
  if (x.isF32() && wanted == Activations::bf16 &&
      (isInteger(weights) || weights == WeightType::bf16))
    return BFloat16Type::get(x.getContext());
  bool isSame =
      (x.isBF16() && weights == WeightType::bf16) || (x.isF16() && weights == WeightType::f16);
  return isSame || (isInteger(weights) && (x.isBF16() || x.isF16()))
             ? x
             : Float32Type::get(x.getContext());
}

/// The product of rows of type `x` by the matrices, or none if there is no
/// kernel for it; of its types depends how they are packed.
std::optional<cuda::Matmul> productOf(const CudaKernels &kernels, PackedMatrices &matrices, Type x,
                                      Type y) {
  matrices.setWidth(cuda::kPanel);
  WeightType weights = matrices.elements.layout.element;
  matrices.setTogether(cuda::Matmul::columnsOfWord(weights));
  cuda::Matmul matmul{.layout = matrices.elements.layout,
                      .x = chooseRows(kernels.getOperandTypes().activations, weights, x),
                      .y = y};
  if (matrices.scales)
    matmul.scales = matrices.scales->packed().element;
  if (matrices.zeros && !isInteger(matrices.zeros->layout.element))
    return std::nullopt;
  matmul.hasZeros = static_cast<bool>(matrices.zeros);
  if (!matmul.isSupported())
    return std::nullopt;
  return matmul;
}

/// Launches the kernel whose tile fits the number of rows, which is known when
/// the model runs. All of them give the same result.
Value launchByRows(CudaKernels &kernels, TensorBuilder &b, cuda::Matmul matmul,
                   ArrayRef<Value> inputs, OpFoldResult rows, StringRef op,
                   IntegerAttr offsetsInput) {
  int64_t columns = matmul.layout.resultColumns();
  RankedTensorType type = tensorOf(columns, matmul.y);
  Value empty = tensor::EmptyOp::create(b, {rows, b.getIndexAttr(columns)}, matmul.y);
  empty = b.castTo(empty, type);
  auto launchTile = [&](OpBuilder &nested, cuda::TileSize size) -> Value {
    TensorBuilder b(nested, empty.getLoc());
    matmul.tile = matmul.tileOf(size);
    Value grid = matmul.grid(b, b.getLoc(), b.index(rows));
    Value y = launch(b, kernels.kernel(matmul), grid, inputs, empty, op)[0];
    if (offsetsInput)
      y.getDefiningOp()->setAttr(rt::LaunchOp::kOffsetsAttr, offsetsInput);
    return y;
  };
  auto choose = [&](auto &self, OpBuilder &nested, size_t candidate) -> Value {
    if (candidate == std::size(kMostRows))
      return launchTile(nested, cuda::TileSize::many);
    auto [size, mostRows] = kMostRows[candidate];
    TensorBuilder b(nested, empty.getLoc());
    Value isMore = b.less(b.index(mostRows * matmul.layout.groups), b.index(rows));
    auto branch = scf::IfOp::create(
        b, isMore,
        [&](OpBuilder &nested, Location loc) {
          scf::YieldOp::create(nested, loc, self(self, nested, candidate + 1));
        },
        [&, size = size](OpBuilder &nested, Location loc) {
          scf::YieldOp::create(nested, loc, launchTile(nested, size));
        });
    return branch.getResult(0);
  };
  return choose(choose, b, 0);
}

} // namespace

LogicalResult selectKernel(CudaKernels &kernels, RewriterBase &rewriter, linalg::MatmulOp op) {
  Value x = op.getInputs()[0];
  std::optional<PackedMatrices> matrices = weightsOf(op, kernels.getOperandTypes().weights);
  if (!matrices)
    return failure();
  std::optional<cuda::Matmul> matmul =
      productOf(kernels, *matrices, elementOf(x), rewriter.getF32Type());
  if (!matmul)
    return failure();
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  OpFoldResult rows = b.size(x, 0);
  SmallVector<Value> inputs{
      b.castTo(converted(b, x, matmul->x), tensorOf(matmul->layout.k, matmul->x))};
  inputs.append(matrixOperands(kernels, b, *matrices));
  Value y = launchByRows(kernels, b, *matmul, inputs, rows, "matmul", {});
  rewriter.replaceOp(op, b.castTo(y, op.getResult(0).getType()));
  return success();
}

LogicalResult selectKernel(CudaKernels &kernels, RewriterBase &rewriter, moe::GroupedMatmulOp op) {
  KernelRows rowsOfKernel(op);
  std::optional<PackedMatrices> matrices = weightsOf(op, kernels.getOperandTypes().weights);
  if (!matrices)
    return failure();
  std::optional<cuda::Matmul> matmul =
      productOf(kernels, *matrices, rowsOfKernel.element(), op.getElement());
  if (!matmul || (!op.getOffsets() && matmul->layout.groups != 1))
    return failure();
  matmul->hasRows = rowsOfKernel.areGathered();
  matmul->rowDivisor = rowsOfKernel.divisor();
  matmul->hasOffsets = static_cast<bool>(op.getOffsets());
  matmul->hasBias = static_cast<bool>(op.getBias());
  matmul->activation = op.getActivationAttr();
  const PackedLayout &layout = matmul->layout;
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  Type f32 = b.getF32Type(), i32 = b.getI32Type();
  SmallVector<Value> inputs{
      b.castTo(converted(b, rowsOfKernel.source(b), matmul->x), tensorOf(layout.k, matmul->x))};
  if (matmul->hasRows)
    inputs.push_back(b.castTo(op.getSlots(), RankedTensorType::get({ShapedType::kDynamic}, i32)));
  // Profiles tell an expert's tokens once: where they are gathered.
  IntegerAttr offsetsInput;
  if (op.getSlots() && op.getOffsets())
    offsetsInput = b.getI64IntegerAttr(inputs.size());
  if (op.getOffsets())
    inputs.push_back(b.castTo(op.getOffsets(), RankedTensorType::get({layout.groups + 1}, i32)));
  inputs.append(matrixOperands(kernels, b, *matrices));
  if (Value bias = joinedBias(b, op))
    inputs.push_back(b.castTo(bias, RankedTensorType::get({layout.groups, layout.n}, f32)));
  OpFoldResult rows = b.size(op.getSlots() ? op.getSlots() : op.getX(), 0);
  Value y =
      launchByRows(kernels, b, *matmul, inputs, rows, op->getName().getStringRef(), offsetsInput);
  rewriter.replaceOp(op, b.castTo(y, op.getType()));
  return success();
}

} // namespace moec
