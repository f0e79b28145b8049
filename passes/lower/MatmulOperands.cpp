#include "passes/lower/MatmulOperands.h"

#include "dialects/moe/GatherRows.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace moec {
namespace {

bool isZeroFill(Value tensor) {
  auto fill = tensor.getDefiningOp<linalg::FillOp>();
  return fill && matchPattern(fill.value(), m_AnyZeroFloat());
}

/// Where an activation's gate has its operands.
GateRows gateRows(moe::ActivationAttr activation) {
  if (!activation || activation.getGate() == moe::Gate::none)
    return GateRows::none;
  return activation.getGate() == moe::Gate::interleaved ? GateRows::interleaved : GateRows::halves;
}

} // namespace

Type elementOf(Value tensor) { return cast<ShapedType>(tensor.getType()).getElementType(); }

Value converted(TensorBuilder &b, Value tensor, Type element) {
  if (elementOf(tensor) == element)
    return tensor;
  SmallVector<unsigned> dims = llvm::to_vector(llvm::seq<unsigned>(0, b.sizes(tensor).size()));
  return b.compute(b.sizes(tensor), {{tensor, dims}}, element,
                   [&](TensorBuilder &b, ValueRange v) { return b.convert(v[0], element); });
}

std::optional<PackedMatrices> weightsOf(linalg::MatmulOp op, std::optional<WeightType> type) {
  Value x = op.getInputs()[0], init = op.getOutputs()[0];
  if (op.hasUserDefinedMaps() || !elementOf(init).isF32() || !isZeroFill(init) ||
      !isa<FloatType>(elementOf(x)) || elementOf(x).isF64())
    return std::nullopt;
  return PackedMatrices::ofTransposed(op.getInputs()[1], type);
}

std::optional<PackedMatrices> weightsOf(moe::GroupedMatmulOp op, std::optional<WeightType> type) {
  if (op.getExperts() || elementOf(op.getX()).isF64() || op.getElement().isF64() ||
      (op.getWUp() && !op.getBias() != !op.getBiasUp()))
    return std::nullopt;
  int64_t k = cast<ShapedType>(op.getX().getType()).getDimSize(1);
  return PackedMatrices::of({op.getMatrix(), op.getUp()}, op.getQuantAttr(), k,
                            gateRows(op.getActivationAttr()), type);
}

KernelRows::KernelRows(moe::GroupedMatmulOp op)
    : op(op), hasSlots(op.getSlots()), areScaled(op.getInputScales()),
      slotsPerRow(op.getSlotsPerRow()),
      type(areScaled ? Float32Type::get(op.getContext()) : elementOf(op.getX())) {}

Value KernelRows::source(TensorBuilder &b) const {
  return areScaled ? moe::gatherRows(b, op) : Value(op.getX());
}

SmallVector<Value> matrixOperands(KernelTable &kernels, TensorBuilder &b,
                                  const PackedMatrices &matrices) {
  SmallVector<Value> operands{
      kernels.packedWeight(b, matrices.elements, matrices.name + ".packed")};
  if (matrices.scales)
    operands.push_back(kernels.packedWeight(b, *matrices.scales, matrices.name + ".scales"));
  if (matrices.zeros)
    operands.push_back(kernels.packedWeight(b, *matrices.zeros, matrices.name + ".zeros"));
  return operands;
}

Value joinedBias(TensorBuilder &b, moe::GroupedMatmulOp op) {
  Value bias = op.getBias(), up = op.getBiasUp();
  if (!bias)
    return bias;
  bias = converted(b, bias, b.getF32Type());
  if (!op.getWUp())
    return bias;
  up = converted(b, up, b.getF32Type());
  ArrayRef<int64_t> shape = cast<ShapedType>(bias.getType()).getShape();
  OpFoldResult zero = b.getIndexAttr(0), one = b.getIndexAttr(1);
  OpFoldResult groups = b.getIndexAttr(shape[0]), half = b.getIndexAttr(shape[1]);
  Value joined = tensor::EmptyOp::create(b, {shape[0], 2 * shape[1]}, b.getF32Type());
  joined = tensor::InsertSliceOp::create(b, bias, joined, {zero, zero}, {groups, half}, {one, one});
  return tensor::InsertSliceOp::create(b, up, joined, {zero, half}, {groups, half}, {one, one});
}

} // namespace moec
