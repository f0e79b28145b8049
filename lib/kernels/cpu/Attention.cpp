#include "lib/kernels/cpu/Attention.h"

#include "lib/kernels/cpu/AttentionBody.h"

using namespace mlir;

namespace moec {

int64_t Attention::scratchElements() const {
  return kAttentionRows * (depth + valueDepth + chunk) + chunk * depth;
}

func::FuncOp Attention::build(OpBuilder &builder, const Chip &chip) const {
  SmallVector<Type> types = inputTypes(builder);
  types.push_back(outputType());
  return defineKernel(builder, chip, name(), types, [&](KernelBuilder &b, ValueRange arguments) {
    emitAttention(b, *this, chip, arguments);
  });
}

Value Attention::grid(OpBuilder &builder, Location loc, Value batch, Value queries) const {
  TensorBuilder b(builder, loc);
  Value rows = b.mul(queries, b.index(group));
  Value blocks = arith::CeilDivUIOp::create(b, rows, b.index(kAttentionRows));
  return b.mul(b.mul(batch, b.index(kvHeads)), blocks);
}

} // namespace moec
