#include "lib/kernels/cuda/AttentionRows.h"

using namespace mlir;

namespace moec::cuda {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// The weight of a part that is left out; the others are not negative.
constexpr double kLeftOut = -1;

Value f32(BlockBuilder &b, double value) { return b.constant(b.getF32Type(), value); }

Value size(BlockBuilder &b, Value memref, unsigned dim) { return b.toI32(b.sizeOf(memref, dim)); }

} // namespace

AttentionOperands::AttentionOperands(BlockBuilder &b, const AttentionSpec &op,
                                     ValueRange &arguments) {
  queries = size(b, arguments[0], 1);
  keys = size(b, arguments[1], 2);
  auto next = [&](bool isPresent = true, SmallVector<Value> *sizes = nullptr) {
    for (unsigned dim = 0; isPresent && sizes && dim < 4; ++dim)
      sizes->push_back(size(b, arguments.front(), dim));
    return takeRows(b, arguments, isPresent);
  };
  q = next();
  k = next();
  v = next();
  bias = next(op.hasBias, &biasSizes);
  mask = next(op.hasMask, &maskSizes);
  sink = next(static_cast<bool>(op.sink));
  lengths = next(op.hasLengths);
  offsets = next(op.hasOffsets);
}

AttentionRows::AttentionRows(BlockBuilder &b, const AttentionSpec &op,
                             const AttentionOperands &operands, Value batch, Value kvHead)
    : b(b), op(op), operands(operands), batch(batch), kvHead(kvHead) {
  auto perRow = [&](const RowMemory &memory) {
    return b.load(b.getI64Type(), memory.at(b, batch));
  };
  limit = operands.keys;
  if (operands.lengths)
    limit = b.toI32(b.min(b.toI64(limit), perRow(operands.lengths)));
  // Keys past the end of a bias or mask are masked.
  for (ArrayRef<Value> sizes : {ArrayRef(operands.biasSizes), ArrayRef(operands.maskSizes)})
    if (!sizes.empty())
      limit = b.min(limit, sizes.back());
  offset = operands.offsets ? b.toI32(perRow(operands.offsets)) : b.i32(0);
}

AttentionRow AttentionRows::row(Value number) {
  AttentionRow row;
  row.query = b.divided(number, op.group);
  row.head = b.add(b.mul(kvHead, b.i32(op.group)), b.remainder(number, op.group));
  Value position = b.add(offset, row.query);
  row.from = b.i32(0);
  row.to = limit;
  if (op.left >= 0)
    row.from = b.max(row.from, b.sub(position, b.i32(op.left)));
  if (op.right >= 0)
    row.to = b.min(row.to, b.add(position, b.i32(op.right + 1)));
  return row;
}

Value isMasked(BlockBuilder &b, Value x) { return b.equal(x, f32(b, -kInfinity)); }

MergeWeights mergeWeights(BlockBuilder &b, Value before, Value chunk, Value both) {
  auto weight = [&](Value m) {
    return b.select(isMasked(b, m), f32(b, kLeftOut), b.exp(b.sub(m, both)));
  };
  return {weight(before), weight(chunk)};
}

Value merged(BlockBuilder &b, const MergeWeights &weights, Value before, Value chunk) {
  Value zero = f32(b, 0);
  Value sum = b.add(b.mul(before, weights.before), b.mul(chunk, weights.chunk));
  return b.select(b.less(weights.chunk, zero), before,
                  b.select(b.less(weights.before, zero), chunk, sum));
}

void finishRow(BlockBuilder &b, const AttentionSpec &op, const AttentionOperands &operands,
               const AttentionRow &row, Value m, Value l, MutableArrayRef<Value> o) {
  if (op.sink) {
    Value sink = b.convert(b.load(op.sink, operands.sink.at(b, row.head)), b.getF32Type());
    MergeWeights weights = mergeWeights(b, m, sink, b.max(m, sink));
    l = merged(b, weights, l, f32(b, 1));
    for (Value &value : o)
      value = merged(b, weights, value, f32(b, 0));
  }
  Value isEmpty = b.equal(l, f32(b, 0));
  for (Value &value : o)
    value = b.select(isEmpty, f32(b, 0), b.div(value, l));
}

} // namespace moec::cuda
