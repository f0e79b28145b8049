//===- SelectMatmul.cpp - products by weights become matmul kernels --------===//
#include "lib/kernels/cpu/Matmul.h"
#include "lib/kernels/cpu/QuantizeRows.h"
#include "lib/weights/Quantize.h"
#include "passes/lower/MatmulOperands.h"
#include "passes/lower/cpu/CpuKernels.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"

using namespace mlir;

namespace moec {
namespace {

using Activations = OperandTypes::Activations;

/// Longer blocks of integers could overflow sums of 32 bits.
constexpr int64_t kLongestExactBlock = 1 << 15;

/// What the rows of a product are, and what they are multiplied as.
struct RowTypes {
  Rows rows = Rows::f32;
  /// What they are rounded to before, if anything.
  Type rounded;
};

/// `mayRound` is the model's permission to round them to int8.
RowTypes chooseRows(const CpuKernels &kernels, const PackedMatrices &matrices, Type x,
                    bool mayRound) {
  const PackedLayout &layout = matrices.elements.layout;
  Activations wanted = kernels.getOperandTypes().activations;
  if (wanted == Activations::unstated && mayRound)
    wanted = Activations::int8;
  bool isExact = !matrices.zeros || isInteger(matrices.zeros->layout.element);
  if (wanted == Activations::int8 && isInteger(layout.element) && isExact &&
      layout.block <= kLongestExactBlock)
    return {Rows::int8, {}};
  if (layout.element != WeightType::bf16 || (wanted != Activations::bf16 && !x.isBF16()))
    return {};
  return {kernels.getChip().avx512bf16 ? Rows::bf16 : Rows::f32, BFloat16Type::get(x.getContext())};
}

/// Rows in int8, their scales and sums; made once for all products of x.
ValueRange quantised(CpuKernels &kernels, TensorBuilder &b, Value x, const QuantizeRows &spec) {
  rt::LaunchOp &launch = kernels.quantised(x, spec.block);
  if (launch && launch->getBlock() == b.getInsertionBlock())
    return launch.getResults();
  func::FuncOp kernel = kernels.kernel(spec);
  OpFoldResult rows = b.size(x, 0);
  Value input = b.castTo(converted(b, x, b.getF32Type()), tensorOf(spec.k, b.getF32Type()));
  SmallVector<Value> outputs;
  SmallVector<Type> types;
  for (Type type : spec.resultTypes(b)) {
    auto memref = cast<MemRefType>(type);
    auto result = RankedTensorType::get(memref.getShape(), memref.getElementType());
    Value empty = tensor::EmptyOp::create(b, {rows, b.getIndexAttr(memref.getShape()[1])},
                                          memref.getElementType());
    outputs.push_back(b.castTo(empty, result));
    types.push_back(result);
  }
  launch = rt::LaunchOp::create(b, types, kernel.getSymName(), b.index(rows), input, outputs);
  launch->setAttr("rt.op", b.getStringAttr("quantize"));
  return launch.getResults();
}

/// The rows as the kernel takes them.
SmallVector<Value> rowOperands(CpuKernels &kernels, TensorBuilder &b, Value x, const Matmul &matmul,
                               const RowTypes &types) {
  int64_t k = matmul.layout.k;
  if (types.rows == Rows::int8)
    return quantised(kernels, b, x, {k, matmul.block()});
  if (types.rounded)
    x = converted(b, x, types.rounded);
  Type element = types.rows == Rows::bf16 ? types.rounded : b.getF32Type();
  return {b.castTo(converted(b, x, element), tensorOf(k, element))};
}

/// The product that multiplies rows of type `x` by the matrices; of what they
/// are rounded to depends how they are packed.
Matmul productOf(const CpuKernels &kernels, PackedMatrices &matrices, const RowTypes &types) {
  matrices.setWidth(matmulTile(kernels.getChip(), types.rows).width());
  Matmul matmul{.layout = matrices.elements.layout, .x = types.rows};
  if (matrices.scales)
    matmul.scales = matrices.scales->packed().element;
  if (matrices.zeros)
    matmul.zeros = matrices.zeros->layout.element;
  return matmul;
}

} // namespace

LogicalResult selectKernel(CpuKernels &kernels, RewriterBase &rewriter, linalg::MatmulOp op) {
  Value x = op.getInputs()[0];
  std::optional<PackedMatrices> matrices = weightsOf(op, kernels.getOperandTypes().weights);
  if (!matrices)
    return failure();
  RowTypes types = chooseRows(kernels, *matrices, elementOf(x), /*mayRound=*/false);
  Matmul matmul = productOf(kernels, *matrices, types);
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  OpFoldResult rows = b.size(x, 0);
  SmallVector<Value> inputs = rowOperands(kernels, b, x, matmul, types);
  inputs.append(matrixOperands(kernels, b, *matrices));
  int64_t n = matmul.layout.n;
  Value y = launch(b, kernels.kernel(matmul), matmul.grid(b, b.getLoc(), b.index(rows)), inputs,
                   tensorOf(n, b.getF32Type()), {rows, b.getIndexAttr(n)}, "matmul");
  rewriter.replaceOp(op, b.castTo(y, op.getResult(0).getType()));
  return success();
}

LogicalResult selectKernel(CpuKernels &kernels, RewriterBase &rewriter, moe::GroupedMatmulOp op) {
  KernelRows rowsOfKernel(op);
  std::optional<PackedMatrices> matrices = weightsOf(op, kernels.getOperandTypes().weights);
  if (!matrices)
    return failure();
  RowTypes types = chooseRows(kernels, *matrices, rowsOfKernel.element(), op.getInt8Rows());
  Matmul matmul = productOf(kernels, *matrices, types);
  matmul.hasRows = rowsOfKernel.areGathered();
  matmul.rowDivisor = rowsOfKernel.divisor();
  matmul.hasOffsets = static_cast<bool>(op.getOffsets());
  matmul.hasBias = static_cast<bool>(op.getBias());
  matmul.activation = op.getActivationAttr();
  const PackedLayout &layout = matmul.layout;
  if (!matmul.hasOffsets && layout.groups != 1)
    return failure();
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  Type f32 = b.getF32Type(), i32 = b.getI32Type();
  SmallVector<Value> inputs = rowOperands(kernels, b, rowsOfKernel.source(b), matmul, types);
  if (matmul.hasRows)
    inputs.push_back(b.castTo(op.getSlots(), RankedTensorType::get({ShapedType::kDynamic}, i32)));
  int64_t offsets = inputs.size();
  if (op.getOffsets())
    inputs.push_back(b.castTo(op.getOffsets(), RankedTensorType::get({layout.groups + 1}, i32)));
  inputs.append(matrixOperands(kernels, b, *matrices));
  if (Value bias = joinedBias(b, op))
    inputs.push_back(b.castTo(bias, RankedTensorType::get({layout.groups, layout.n}, f32)));
  OpFoldResult rows = b.size(op.getSlots() ? op.getSlots() : op.getX(), 0);
  int64_t columns = layout.resultColumns();
  Value y =
      launch(b, kernels.kernel(matmul), matmul.grid(b, b.getLoc(), b.index(rows)), inputs,
             tensorOf(columns, f32), {rows, b.getIndexAttr(columns)}, op->getName().getStringRef());
  // Profiles tell an expert's tokens once: where they are gathered.
  if (op.getSlots() && op.getOffsets())
    y.getDefiningOp()->setAttr(rt::LaunchOp::kOffsetsAttr, b.getI64IntegerAttr(offsets));
  rewriter.replaceOp(op, b.castTo(converted(b, y, op.getElement()), op.getType()));
  return success();
}

} // namespace moec
