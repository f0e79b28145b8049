//===- SelectMatmul.cpp - products by weights become matmul kernels --------===//
#include "lib/kernels/cpu/Matmul.h"
#include "passes/lower/KernelTable.h"
#include "passes/lower/WeightView.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;

namespace moec {
namespace {

Type elementOf(Value tensor) { return cast<ShapedType>(tensor.getType()).getElementType(); }

/// A tensor [dynamic, columns], as kernels take them.
RankedTensorType rowsType(int64_t columns, Type element) {
  return RankedTensorType::get({ShapedType::kDynamic, columns}, element);
}

bool isZeroFill(Value tensor) {
  auto fill = tensor.getDefiningOp<linalg::FillOp>();
  return fill && matchPattern(fill.value(), m_AnyZeroFloat());
}

/// The view with rows and columns exchanged.
WeightView transposed(WeightView view) {
  std::swap(view.sizes[0], view.sizes[1]);
  std::swap(view.strides[0], view.strides[1]);
  return view;
}

GateRows gateRows(moe::ActivationAttr activation) {
  if (!activation || activation.getGate() == moe::Gate::none)
    return GateRows::none;
  return activation.getGate() == moe::Gate::interleaved ? GateRows::interleaved : GateRows::halves;
}

/// The packing of a grouped product's matrices; those of a separate gate are
/// the halves of one.
std::optional<PackStep> packStep(moe::GroupedMatmulOp op, const Chip &chip) {
  PackStep step;
  for (Value tensor : {op.getW(), op.getWUp()}) {
    if (!tensor)
      continue;
    std::optional<WeightView> view = WeightView::of(tensor);
    std::optional<MatrixPart> part = view ? view->asMatrixPart() : std::nullopt;
    if (!part)
      return std::nullopt;
    part->row = step.layout.n;
    step.layout.n += part->rows;
    step.layout.groups = part->groups;
    step.layout.k = view->sizes[2];
    step.parts.push_back(*part);
  }
  step.layout.gate = gateRows(op.getActivationAttr());
  step.layout.width = matmulTile(chip).width();
  return step;
}

/// [bias | bias_up] as one tensor [groups,n], null without biases.
Value joinedBias(TensorBuilder &b, moe::GroupedMatmulOp op, const PackedLayout &layout) {
  Value bias = op.getBias(), up = op.getBiasUp();
  if (!bias || !op.getWUp())
    return bias;
  OpFoldResult zero = b.getIndexAttr(0), one = b.getIndexAttr(1);
  OpFoldResult groups = b.getIndexAttr(layout.groups), half = b.getIndexAttr(layout.n / 2);
  Value joined = tensor::EmptyOp::create(b, {layout.groups, layout.n}, b.getF32Type());
  joined = tensor::InsertSliceOp::create(b, bias, joined, {zero, zero}, {groups, half}, {one, one});
  return tensor::InsertSliceOp::create(b, up, joined, {zero, half}, {groups, half}, {one, one});
}

} // namespace

LogicalResult selectKernel(KernelTable &table, RewriterBase &rewriter, linalg::MatmulOp op) {
  Value x = op.getInputs()[0], init = op.getOutputs()[0];
  std::optional<WeightView> view = WeightView::of(op.getInputs()[1]);
  if (!view || op.hasUserDefinedMaps() || !elementOf(x).isF32() || !elementOf(init).isF32())
    return failure();
  if (!elementOf(op.getInputs()[1]).isF32() || !isZeroFill(init))
    return failure();
  std::optional<MatrixPart> part = transposed(*view).asMatrixPart();
  if (!part)
    return failure();
  int64_t k = view->sizes[0], n = view->sizes[1];
  PackStep step{{1, n, k, matmulTile(table.getChip()).width(), GateRows::none}, {*part}};
  Matmul matmul{.layout = step.layout};
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  OpFoldResult rows = b.size(x, 0);
  Value weights = table.packedWeight(b, step, view->weight.getSymName());
  Value y = launch(b, table.kernel(matmul), matmul.grid(b, b.getLoc(), b.index(rows)),
                   {b.castTo(x, rowsType(k, b.getF32Type())), weights}, rowsType(n, b.getF32Type()),
                   {rows, b.getIndexAttr(n)}, "matmul");
  rewriter.replaceOp(op, b.castTo(y, op.getResult(0).getType()));
  return success();
}

LogicalResult selectKernel(KernelTable &table, RewriterBase &rewriter, moe::GroupedMatmulOp op) {
  bool isF32 = elementOf(op.getX()).isF32() && elementOf(op.getW()).isF32() &&
               op.getElement().isF32() && (!op.getBias() || elementOf(op.getBias()).isF32());
  if (!isF32 || op.getQuant() || op.getInputScales() || op.getExperts() || !op.getOffsets())
    return failure();
  if (!op.getBias() != !op.getBiasUp() && op.getWUp())
    return failure();
  std::optional<PackStep> step = packStep(op, table.getChip());
  if (!step)
    return failure();
  const PackedLayout &layout = step->layout;
  Matmul matmul{.layout = layout,
                .hasRows = static_cast<bool>(op.getSlots()),
                .rowDivisor = static_cast<int64_t>(op.getSlotsPerRow()),
                .hasOffsets = true,
                .hasBias = static_cast<bool>(op.getBias()),
                .activation = op.getActivationAttr()};
  rewriter.setInsertionPoint(op);
  TensorBuilder b(rewriter, op.getLoc());
  Type f32 = b.getF32Type(), i32 = b.getI32Type();
  SmallVector<Value> inputs{b.castTo(op.getX(), rowsType(layout.k, f32))};
  if (op.getSlots())
    inputs.push_back(b.castTo(op.getSlots(), RankedTensorType::get({ShapedType::kDynamic}, i32)));
  int64_t offsets = inputs.size();
  inputs.push_back(b.castTo(op.getOffsets(), RankedTensorType::get({layout.groups + 1}, i32)));
  inputs.push_back(table.packedWeight(b, *step, WeightView::of(op.getW())->weight.getSymName()));
  if (Value bias = joinedBias(b, op, layout))
    inputs.push_back(b.castTo(bias, RankedTensorType::get({layout.groups, layout.n}, f32)));
  OpFoldResult rows = b.size(op.getSlots() ? op.getSlots() : op.getX(), 0);
  int64_t columns = layout.resultColumns();
  Value y =
      launch(b, table.kernel(matmul), matmul.grid(b, b.getLoc(), b.index(rows)), inputs,
             rowsType(columns, f32), {rows, b.getIndexAttr(columns)}, op->getName().getStringRef());
  // Profiles tell an expert's tokens once: where they are gathered.
  if (op.getSlots())
    y.getDefiningOp()->setAttr(rt::LaunchOp::kOffsetsAttr, b.getI64IntegerAttr(offsets));
  rewriter.replaceOp(op, b.castTo(y, op.getType()));
  return success();
}

} // namespace moec
