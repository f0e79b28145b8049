#include "lib/kernels/cpu/Attention.h"

#include "lib/kernels/cpu/AttentionBody.h"

using namespace mlir;

namespace moec {
namespace {

SmallVector<Type> argumentTypes(Builder &builder, const Attention &op) {
  constexpr int64_t kDynamic = ShapedType::kDynamic;
  int64_t heads = op.kvHeads * op.group;
  SmallVector<int64_t> any(4, kDynamic);
  SmallVector<Type> types{
      contiguousRows({kDynamic, kDynamic, heads, op.depth}, op.element),
      contiguousRows({kDynamic, op.kvHeads, kDynamic, op.depth}, op.element),
      contiguousRows({kDynamic, op.kvHeads, kDynamic, op.valueDepth}, op.element)};
  if (op.hasBias)
    types.push_back(contiguousRows(any, builder.getF32Type()));
  if (op.hasMask)
    types.push_back(contiguousRows(any, builder.getI8Type()));
  if (op.sink)
    types.push_back(MemRefType::get(heads, op.sink));
  types.append(op.hasLengths + op.hasOffsets, MemRefType::get(kDynamic, builder.getI64Type()));
  types.push_back(contiguousRows({kDynamic, kDynamic, heads, op.valueDepth}, op.element));
  return types;
}

} // namespace

std::string Attention::name() const {
  std::string name;
  llvm::raw_string_ostream stream(name);
  stream << "attention_" << element << "_" << kvHeads << "x" << group << "_" << depth;
  if (valueDepth != depth)
    stream << "x" << valueDepth;
  if (right == 0)
    stream << "_causal";
  if (left >= 0)
    stream << "_window";
  for (auto [isPresent, suffix] :
       {std::pair(hasBias, "_bias"), std::pair(hasMask, "_mask"),
        std::pair(softcap != 0, "_softcap"), std::pair(static_cast<bool>(sink), "_sink")})
    if (isPresent)
      stream << suffix;
  return name;
}

int64_t Attention::scratchElements() const {
  return kAttentionRows * (depth + valueDepth + chunk) + chunk * depth;
}

func::FuncOp Attention::build(OpBuilder &builder, const Chip &chip) const {
  return defineKernel(
      builder, chip, name(), argumentTypes(builder, *this),
      [&](KernelBuilder &b, ValueRange arguments) { emitAttention(b, *this, chip, arguments); });
}

Value Attention::grid(OpBuilder &builder, Location loc, Value batch, Value queries) const {
  TensorBuilder b(builder, loc);
  Value rows = b.mul(queries, b.index(group));
  Value blocks = arith::CeilDivUIOp::create(b, rows, b.index(kAttentionRows));
  return b.mul(b.mul(batch, b.index(kvHeads)), blocks);
}

} // namespace moec
