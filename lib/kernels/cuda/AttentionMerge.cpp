#include "lib/kernels/cuda/Attention.h"
#include "lib/kernels/cuda/AttentionRows.h"

using namespace mlir;

namespace moec::cuda {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// Columns of o that a warp merges, four by each lane.
constexpr int64_t kColumns = 128, kColumnsOfLane = kColumns / kWarp;
/// Warps of a block.
constexpr int64_t kWarps = 4;

int64_t parts(const AttentionMerge &op) { return llvm::divideCeil(op.valueDepth, kColumns); }

/// Merges columns of one row. Maxima are those of all chunks before, in any
/// order, so each lane finds the weights of another chunk.
class MergeEmitter {
public:
  MergeEmitter(BlockBuilder &b, const AttentionMerge &op, ValueRange arguments, Value block)
      : b(b), op(op), f32(b.getF32Type()), totals(b, arguments[0]), sums(b, arguments[1]),
        inputs(arguments.drop_front(2)), operands(b, op, inputs), y(b, inputs.front()) {
    batches = b.toI32(b.sizeOf(inputs.front(), 0));
    index = b.add(b.mul(block, b.i32(kWarps)), b.warp());
  }

  void emit() {
    Value rows = b.mul(operands.queries, b.i32(op.group));
    Value all = b.mul(b.mul(rows, batches), b.i32(op.kvHeads * parts(op)));
    b.ifTrue(b.less(index, all), [&] {
      Value rest = b.divided(index, parts(op));
      Value lane = b.mul(b.lane(), b.i32(kColumnsOfLane));
      column = b.add(b.mul(b.remainder(index, parts(op)), b.i32(kColumns)), lane);
      number = arith::RemUIOp::create(b, rest, rows);
      rest = arith::DivUIOp::create(b, rest, rows);
      kvHead = b.remainder(rest, op.kvHeads);
      batch = b.divided(rest, op.kvHeads);
      emitRow();
    });
  }

private:
  Value constant(double value) { return b.constant(f32, value); }

  void emitRow() {
    AttentionRow row = AttentionRows(b, op, operands, batch, kvHead).row(number);
    Value isAny = b.less(row.from, row.to);
    Value first = b.divided(b.select(isAny, row.from, b.i32(0)), op.chunk);
    Value end = b.ceilDivided(b.select(isAny, row.to, b.i32(0)), op.chunk);
    SmallVector<Value> state(2 + kColumnsOfLane, constant(0));
    state[0] = constant(-kInfinity);
    state = b.forEach(first, end, kWarp, state, [&](Value chunk, MutableArrayRef<Value> state) {
      mergeChunks(chunk, end, state);
    });
    MutableArrayRef<Value> o = MutableArrayRef(state).drop_front(2);
    finishRow(b, op, operands, row, state[0], state[1], o);
    RowMemory result = y;
    Value pointer = result.row(b, {batch, row.query, row.head});
    for (auto [i, value] : llvm::enumerate(o)) {
      Value at = b.add(column, b.i32(i));
      b.ifTrue(b.less(at, b.i32(op.valueDepth)), [&] {
        storeFloats(b, value, op.element, b.at(pointer, b.mul(at, b.i32(bytesOf(op.element)))));
      });
    }
  }

  /// Merges chunks [chunk, end), of which there are as many as lanes at most,
  /// with (m, l, o...).
  void mergeChunks(Value chunk, Value end, MutableArrayRef<Value> state) {
    Value mine = b.add(chunk, b.lane()), isChunk = b.less(mine, end);
    Value at = b.select(isChunk, mine, chunk);
    SmallVector<Value> both = loadFloats(b, f32, totals.row(b, {batch, kvHead, at, number}), 2);
    Value m = b.select(isChunk, both[0], constant(-kInfinity)), upTo = m;
    for (int64_t distance = 1; distance < kWarp; distance *= 2) {
      Value below = b.fromLaneBelow(upTo, distance);
      Value isThere = b.less(b.i32(distance - 1), b.lane());
      upTo = b.max(upTo, b.select(isThere, below, upTo));
    }
    upTo = b.max(upTo, state[0]);
    Value below = b.fromLaneBelow(upTo, 1);
    Value before = b.select(b.equal(b.lane(), b.i32(0)), state[0], below);
    MergeWeights weights = mergeWeights(b, before, m, upTo);
    Value count = b.min(b.sub(end, chunk), b.i32(kWarp));
    SmallVector<Value> merging(state.drop_front());
    merging =
        b.forEach(b.i32(0), count, 1, merging, [&](Value lane, MutableArrayRef<Value> merging) {
          MergeWeights other{b.fromLane(weights.before, lane), b.fromLane(weights.chunk, lane)};
          SmallVector<Value> part{b.fromLane(both[1], lane)};
          llvm::append_range(part, columnsOf(b.add(chunk, lane)));
          for (auto [value, next] : llvm::zip(merging, part))
            value = merged(b, other, value, next);
        });
    llvm::copy(merging, state.begin() + 1);
    state[0] = b.fromLane(upTo, b.i32(kWarp - 1));
  }

  /// This lane's columns of a chunk's o.
  SmallVector<Value> columnsOf(Value chunk) {
    Value pointer = sums.row(b, {batch, kvHead, chunk, number});
    Value last = b.i32(op.valueDepth - 1);
    if (op.valueDepth % kColumnsOfLane == 0) {
      last = b.i32(op.valueDepth - kColumnsOfLane);
      Value at = b.min(column, last);
      return loadFloats(b, f32, b.at(pointer, b.mul(at, b.i32(4))), kColumnsOfLane);
    }
    SmallVector<Value> values;
    for (int64_t i = 0; i < kColumnsOfLane; ++i) {
      Value at = b.min(b.add(column, b.i32(i)), last);
      llvm::append_range(values, loadFloats(b, f32, b.at(pointer, b.mul(at, b.i32(4))), 1));
    }
    return values;
  }

  BlockBuilder &b;
  const AttentionMerge &op;
  Type f32;
  RowMemory totals, sums;
  ValueRange inputs;
  AttentionOperands operands;
  RowMemory y;
  Value batches, index, batch, kvHead, number, column;
};

} // namespace

std::string AttentionMerge::name() const { return AttentionSpec::name() + "_merge"; }

func::FuncOp AttentionMerge::build(OpBuilder &builder) const {
  Type f32 = builder.getF32Type();
  constexpr int64_t kDynamic = ShapedType::kDynamic;
  SmallVector<Type> types{
      MemRefType::get({kDynamic, kvHeads, kDynamic, kDynamic, 2}, f32),
      MemRefType::get({kDynamic, kvHeads, kDynamic, kDynamic, valueDepth}, f32)};
  types.append(inputTypes(builder));
  types.push_back(outputType());
  return defineBlockKernel(builder, name(), types, {kWarps * kWarp},
                           [&](BlockBuilder &b, ValueRange arguments, Value block) {
                             MergeEmitter(b, *this, arguments, block).emit();
                           });
}

Value AttentionMerge::grid(OpBuilder &builder, Location loc, Value batch, Value queries) const {
  TensorBuilder b(builder, loc);
  Value rows = b.mul(b.mul(batch, queries), b.index(heads() * parts(*this)));
  return arith::CeilDivUIOp::create(b, rows, b.index(kWarps));
}

} // namespace moec::cuda
