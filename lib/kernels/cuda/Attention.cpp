#include "lib/kernels/cuda/Attention.h"

#include "lib/kernels/cuda/AttentionRows.h"
#include "lib/kernels/cuda/AttentionUnit.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace moec::cuda {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// An exponential that stands for a masked one; the others are not negative.
constexpr double kMasked = -1;
/// Warps of a block whose tiles share keys and values.
constexpr int64_t kWarpsOfBlock = 4;
/// Columns of o that a warp holds for all chunks, which has registers for no
/// more; others are those of a warp that computes the same scores.
constexpr int64_t kHeldColumns = kValueColumns;

int64_t warpsOf(const Attention &op) { return op.isSplit ? 1 : kWarpsOfBlock; }
/// Parts of o that warps of their own compute.
int64_t parts(const Attention &op) {
  return op.isSplit ? 1 : llvm::divideCeil(op.valueDepth, kHeldColumns);
}

/// The maximum and sum of a chunk or all chunks, and columns of o, for two rows.
struct Partial {
  std::array<Value, 2> m, l;
  SmallVector<Value> o;
};

/// What decides on the scores of a lane in a row of its tile. Keys are counted from
/// its first in the chunk.
struct ScoreRow {
  /// The last key before those that the row sees, and the one behind them.
  Value before, to;
  /// The element of the first key; null if there is none.
  Value bias, mask;
};

class AttentionEmitter {
public:
  AttentionEmitter(BlockBuilder &b, const Attention &op, ValueRange arguments, Value block)
      : b(b), op(op), f32(b.getF32Type()), operands(b, op, arguments) {
    batches = b.toI32(b.sizeOf(arguments.back(), 0));
    for (Value output : arguments)
      outputs.push_back(RowMemory(b, output));
    index = b.add(b.mul(block, b.i32(warpsOf(op))), b.warp());
  }

  void emit() {
    Value rows = b.mul(operands.queries, b.i32(op.group));
    Value tiles = b.ceilDivided(rows, kRowsOfTile);
    Value chunks = op.isSplit ? b.ceilDivided(operands.keys, op.chunk) : b.i32(parts(op));
    // Tiles are the fastest, those with the most keys first.
    auto split = [&](Value &rest, Value by) {
      Value remainder = arith::RemUIOp::create(b, rest, by);
      rest = arith::DivUIOp::create(b, rest, by);
      return remainder;
    };
    Value rest = index, all = b.mul(b.mul(tiles, chunks), b.mul(batches, b.i32(op.kvHeads)));
    b.ifTrue(b.less(index, all), [&] {
      Value tile = b.sub(b.sub(tiles, b.i32(1)), split(rest, tiles));
      part = split(rest, chunks);
      kvHead = split(rest, b.i32(op.kvHeads));
      batch = rest;
      firstRow = b.mul(tile, b.i32(kRowsOfTile));
      lastRow = b.sub(rows, b.i32(1));
      emitTile();
    });
  }

private:
  Value constant(double value) { return b.constant(f32, value); }

  void emitTile() {
    AttentionRows rows(b, op, operands, batch, kvHead);
    Value group = b.divided(b.lane(), 4);
    AttentionAddresses addresses;
    for (int64_t i = 0; i < 2; ++i) {
      // Rows past the last repeat it.
      number[i] = b.add(firstRow, b.add(group, b.i32(8 * i)));
      row[i] = rows.row(b.min(number[i], lastRow));
      addresses.q[i] = operands.q.row(b, {batch, row[i].query, row[i].head});
    }
    Value zero = b.i32(0), one = b.i32(1);
    addresses.k = operands.k.row(b, {batch, kvHead, zero});
    addresses.v = operands.v.row(b, {batch, kvHead, zero});
    addresses.keyBytes = operands.k.step(2);
    addresses.valueBytes = operands.v.step(2);
    // Later rows see later keys.
    first = rows.row(firstRow).from;
    Value end = rows.row(b.min(b.add(firstRow, b.i32(kRowsOfTile - 1)), lastRow)).to;
    last = b.sub(end, one);
    Value memory = b.mul(b.warp(), b.i32(AttentionUnit::memoryBytes(op)));
    unit = createAttentionUnit(b, op, addresses, b.at(b.sharedMemory(), memory));
    if (op.isSplit)
      emitChunk(end);
    else
      emitChunks(end);
  }

  /// One chunk, if a row sees a key of it.
  void emitChunk(Value end) {
    Value start = b.mul(part, b.i32(op.chunk));
    Value isSeen = b.both(b.less(start, end), b.less(first, b.add(start, b.i32(op.chunk))));
    b.ifTrue(b.both(isSeen, b.less(first, end)), [&] {
      Partial chunk;
      setExponentials(start, chunk);
      storeTotals(chunk);
      for (int64_t column = 0; column < op.valueDepth; column += kValueColumns)
        storeSums(unit->sums({start, first, last}, b.i32(column)), b.i32(column));
    });
  }

  /// All chunks, merged one after the other.
  void emitChunks(Value end) {
    Value column = b.mul(part, b.i32(kHeldColumns));
    int64_t held = std::min<int64_t>(op.valueDepth, kHeldColumns);
    int64_t blocks = llvm::divideCeil(held, kValueColumns);
    int64_t perBlock = 2 * AttentionUnit::kColumnsOfLane;
    SmallVector<Value> state{constant(-kInfinity), constant(-kInfinity), constant(0), constant(0)};
    state.append(blocks * perBlock, constant(0));
    Value from = b.sub(first, b.remainder(first, op.chunk));
    from = b.select(b.less(first, end), from, end);
    state = b.forEach(from, end, op.chunk, state, [&](Value start, MutableArrayRef<Value> state) {
      Partial chunk;
      setExponentials(start, chunk);
      std::array<MergeWeights, 2> weights;
      for (size_t i = 0; i < 2; ++i) {
        Value both = b.max(state[i], chunk.m[i]);
        weights[i] = mergeWeights(b, state[i], chunk.m[i], both);
        state[i] = both;
        state[2 + i] = merged(b, weights[i], state[2 + i], chunk.l[i]);
      }
      for (int64_t block = 0; block < blocks; ++block) {
        Value from = b.add(column, b.i32(block * kValueColumns));
        SmallVector<Value> sums = unit->sums({start, first, last}, from);
        for (auto [i, sum] : llvm::enumerate(sums)) {
          Value &o = state[4 + block * perBlock + i];
          o = merged(b, weights[i / AttentionUnit::kColumnsOfLane], o, sum);
        }
      }
    });
    for (int64_t block = 0; block < blocks; ++block) {
      SmallVector<Value> o(ArrayRef(state).slice(4 + block * perBlock, perBlock));
      for (size_t i = 0; i < 2; ++i)
        finishRow(b, op, operands, row[i], state[i], state[2 + i], rowOf(o, i));
      storeSums(o, b.add(column, b.i32(block * kValueColumns)));
    }
  }

  static MutableArrayRef<Value> rowOf(MutableArrayRef<Value> sums, size_t i) {
    return sums.slice(i * AttentionUnit::kColumnsOfLane, AttentionUnit::kColumnsOfLane);
  }

  //===--------------------------------------------------------------------===//
  // A chunk's softmax
  //===--------------------------------------------------------------------===//

  void setExponentials(Value start, Partial &chunk) {
    SmallVector<Value> x = unit->scores({start, first, last});
    std::array<ScoreRow, 2> rows{scoreRow(0, start), scoreRow(1, start)};
    for (auto [i, value] : llvm::enumerate(x))
      value = visibleScore(value, rows[i % 4 / 2], i / 4 * 8 + i % 2);
    for (size_t i = 0; i < 2; ++i) {
      chunk.m[i] = fold(x, i, [&](Value lhs, Value rhs) { return b.max(lhs, rhs); });
      for (size_t j = 0; j < x.size(); ++j)
        if (j % 4 / 2 == i)
          x[j] = b.select(isMasked(b, x[j]), constant(kMasked), b.exp(b.sub(x[j], chunk.m[i])));
    }
    unit->setExponentials(x);
    for (Value &value : x)
      value = b.max(value, constant(0));
    for (size_t i = 0; i < 2; ++i)
      chunk.l[i] = fold(x, i, [&](Value lhs, Value rhs) { return b.add(lhs, rhs); });
  }

  /// Of the values of a row, this lane's ascending and then the four lanes'.
  Value fold(ArrayRef<Value> values, size_t row, function_ref<Value(Value, Value)> combine) {
    Value result;
    for (auto [i, value] : llvm::enumerate(values))
      if (i % 4 / 2 == row)
        result = result ? combine(result, value) : value;
    for (int64_t mask : {1, 2})
      result = combine(result, b.fromLaneAcross(result, mask));
    return result;
  }

  ScoreRow scoreRow(size_t i, Value start) {
    Value inChunk = b.mul(b.remainder(b.lane(), 4), b.i32(2)), key = b.add(start, inChunk);
    ScoreRow result;
    result.before = b.sub(b.sub(row[i].from, b.i32(1)), key);
    result.to = b.sub(row[i].to, key);
    if (op.chunk % 16 != 0)
      result.to = b.min(result.to, b.sub(b.i32(op.chunk), inChunk));
    if (operands.bias)
      result.bias = ofScore(operands.bias, operands.biasSizes, i, key);
    if (operands.mask)
      result.mask = ofScore(operands.mask, operands.maskSizes, i, key);
    return result;
  }

  /// Where an element of a bias or mask is.
  Value ofScore(const RowMemory &memory, ArrayRef<Value> sizes, size_t i, Value key) {
    SmallVector<Value> at{batch, row[i].head, row[i].query};
    for (auto [index, size] : llvm::zip(at, sizes))
      index = b.select(b.equal(size, b.i32(1)), b.i32(0), index);
    at.push_back(key);
    return memory.at(b, at);
  }

  /// Scaled, capped and biased; -inf where the row does not see the key.
  Value visibleScore(Value dot, const ScoreRow &row, int64_t key) {
    Value isVisible = b.both(b.less(row.before, b.i32(key)), b.less(b.i32(key), row.to));
    Value x = b.mul(dot, constant(op.scale));
    if (op.softcap != 0) {
      Value cap = constant(op.softcap);
      x = b.mul(cap, math::TanhOp::create(b, b.div(x, cap)).getResult());
    }
    if (row.bias)
      x = b.add(x, b.loadIf(isVisible, f32, b.at(row.bias, key * bytesOf(f32)), constant(0)));
    if (row.mask) {
      Type byte = b.getI8Type();
      Value none = b.constant(byte, 0);
      Value mask = b.loadIf(isVisible, byte, b.at(row.mask, key), none);
      isVisible = b.select(b.equal(mask, none), b.constant(b.getI1Type(), 0), isVisible);
    }
    return b.select(isVisible, x, constant(-kInfinity));
  }

  //===--------------------------------------------------------------------===//
  // Results
  //===--------------------------------------------------------------------===//

  /// The rows of an output for row i of this lane; those of the workspace are
  /// numbered as here.
  SmallVector<Value> outputRow(size_t i) {
    if (op.isSplit)
      return {batch, kvHead, part, number[i]};
    return {batch, row[i].query, row[i].head};
  }
  Value isRow(size_t i) { return b.less(number[i], b.add(lastRow, b.i32(1))); }

  void storeTotals(const Partial &chunk) {
    for (size_t i = 0; i < 2; ++i)
      b.ifTrue(b.both(isRow(i), b.equal(b.remainder(b.lane(), 4), b.i32(0))), [&] {
        storeFloats(b, {chunk.m[i], chunk.l[i]}, f32, outputs[0].row(b, outputRow(i)));
      });
  }

  /// Columns of o, or of the result.
  void storeSums(ArrayRef<Value> sums, Value column) {
    constexpr int64_t kTogether = 8;
    const RowMemory &y = outputs.back();
    Value isAligned = areAligned(b, y);
    for (size_t i = 0; i < 2; ++i) {
      Value pointer = y.row(b, outputRow(i));
      for (int64_t e = 0; e < AttentionUnit::kColumnsOfLane; e += kTogether) {
        Value mine = b.mul(b.remainder(b.lane(), 4), b.i32(AttentionUnit::kColumnsOfLane));
        Value at = b.add(b.add(column, mine), b.i32(e));
        ArrayRef<Value> values = sums.slice(i * AttentionUnit::kColumnsOfLane + e, kTogether);
        b.ifTrue(isRow(i), [&] { storeColumns(pointer, at, values, isAligned); });
      }
    }
  }

  void storeColumns(Value row, Value column, ArrayRef<Value> values, Value isAligned) {
    Type element = outputs.back().element();
    auto pointerAt = [&](int64_t i) {
      return b.at(row, b.mul(b.add(column, b.i32(i)), b.i32(bytesOf(element))));
    };
    int64_t count = values.size();
    auto isInside = [&](int64_t i) {
      return b.less(b.add(column, b.i32(i)), b.i32(op.valueDepth));
    };
    auto storeEach = [&] {
      for (int64_t i = 0; i < count; ++i)
        b.ifTrue(isInside(i), [&] { storeFloats(b, values.slice(i, 1), element, pointerAt(i)); });
    };
    if (op.valueDepth % count != 0)
      return storeEach();
    b.ifElse(
        isAligned,
        [&] { b.ifTrue(isInside(0), [&] { storeFloats(b, values, element, pointerAt(0)); }); },
        storeEach);
  }

  BlockBuilder &b;
  const Attention &op;
  Type f32;
  AttentionOperands operands;
  SmallVector<RowMemory> outputs;
  Value batches, index;
  /// The tile: its chunk or part of o, its rows, and the keys [first, last] that
  /// they see.
  Value batch, kvHead, part, firstRow, lastRow, first, last;
  std::array<Value, 2> number;
  std::array<AttentionRow, 2> row;
  std::unique_ptr<AttentionUnit> unit;
};

} // namespace

bool Attention::usesTensorCores() const {
  return !element.isF32() && isAligned && depth % 8 == 0 && valueDepth % 8 == 0;
}

bool Attention::isSupported() const {
  // A lane holds the scores of a chunk.
  constexpr int64_t kMostKeys = 64;
  return chunk <= kMostKeys;
}

std::string Attention::name() const { return AttentionSpec::name() + (isSplit ? "_chunks" : ""); }

func::FuncOp Attention::build(OpBuilder &builder) const {
  SmallVector<Type> types = inputTypes(builder);
  Type f32 = builder.getF32Type();
  constexpr int64_t kDynamic = ShapedType::kDynamic;
  if (isSplit)
    types.append({MemRefType::get({kDynamic, kvHeads, kDynamic, kDynamic, 2}, f32),
                  MemRefType::get({kDynamic, kvHeads, kDynamic, kDynamic, valueDepth}, f32)});
  else
    types.push_back(outputType());
  BlockShape shape{warpsOf(*this) * kWarp, warpsOf(*this) * AttentionUnit::memoryBytes(*this)};
  return defineBlockKernel(builder, name(), types, shape,
                           [&](BlockBuilder &b, ValueRange arguments, Value block) {
                             AttentionEmitter(b, *this, arguments, block).emit();
                           });
}

Value Attention::tiles(OpBuilder &builder, Location loc, Value batch, Value queries) const {
  TensorBuilder b(builder, loc);
  Value rows = b.mul(queries, b.index(group));
  Value tiles = arith::CeilDivUIOp::create(b, rows, b.index(kRowsOfTile));
  return b.mul(b.mul(batch, b.index(kvHeads)), tiles);
}

Value Attention::grid(OpBuilder &builder, Location loc, Value batch, Value queries,
                      Value keys) const {
  TensorBuilder b(builder, loc);
  Value each = isSplit ? arith::CeilDivUIOp::create(b, keys, b.index(chunk)).getResult()
                       : b.index(parts(*this));
  Value all = b.mul(tiles(builder, loc, batch, queries), each);
  return arith::CeilDivUIOp::create(b, all, b.index(warpsOf(*this)));
}

} // namespace moec::cuda
