#include "lib/kernels/cpu/AttentionBody.h"

#include "lib/kernels/cpu/KernelBuilder.h"
#include "lib/kernels/cpu/Matmul.h"
#include "lib/kernels/cpu/Transpose.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moec {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
/// Where an exponential or a weight of a merge stands for a masked one; the
/// others are not negative.
constexpr double kMasked = -1;
/// Emits the body of one attention kernel. Rows of a key head are numbered
/// i * G + g; a block of them walks the chunks of keys together, tile by tile.
class AttentionEmitter {
public:
  AttentionEmitter(KernelBuilder &b, const Attention &op, const Chip &chip, ValueRange arguments)
      : b(b), op(op), tile(matmulTile(chip)), f32(b.getF32Type()),
        panels(llvm::divideCeil(op.chunk, tile.width())) {
    auto next = [&](bool isPresent = true) {
      Value value;
      if (isPresent) {
        value = arguments.front();
        arguments = arguments.drop_front();
      }
      return value;
    };
    q = next();
    k = next();
    v = next();
    bias = next(op.hasBias);
    mask = next(op.hasMask);
    sink = next(static_cast<bool>(op.sink));
    lengths = next(op.hasLengths);
    offsets = next(op.hasOffsets);
    y = next();
    begin = next();
    end = next();
  }

  void emit() {
    allocateScratch();
    Value queries = memref::DimOp::create(b, q, 1), heads = b.index(op.kvHeads);
    Value total = b.mul(queries, b.index(op.group));
    Value blocks = arith::CeilDivUIOp::create(b, total, b.index(kAttentionRows));
    b.forEach(begin, end, 1, [&](Value index) {
      Value rest = arith::DivUIOp::create(b, index, blocks);
      first = b.mul(arith::RemUIOp::create(b, index, blocks), b.index(kAttentionRows));
      count = b.min(b.index(kAttentionRows), b.sub(total, first));
      batch = arith::DivUIOp::create(b, rest, heads);
      kvHead = arith::RemUIOp::create(b, rest, heads);
      emitBlock();
    });
  }

private:
  Value scratch(ArrayRef<int64_t> shape, Type element) {
    return memref::AllocaOp::create(b, MemRefType::get(shape, element), b.getI64IntegerAttr(64));
  }

  void allocateScratch() {
    // Vectors of rows may start at any row.
    int64_t rows = kAttentionRows + b.lanes();
    valueWidth = llvm::alignTo(op.valueDepth, b.lanes());
    qRows = scratch({kAttentionRows, op.depth}, f32);
    kColumns = scratch({panels, op.depth, tile.width()}, f32);
    scores = scratch({kAttentionRows, panels * tile.width()}, f32);
    sums = scratch({kAttentionRows, valueWidth}, f32);
    for (Value *perRow : {&maxima, &totals, &chunkMaxima, &chunkTotals, &weights, &chunkWeights})
      *perRow = scratch({rows}, f32);
    firstKeys = scratch({kAttentionRows}, b.getIndexType());
    endKeys = scratch({kAttentionRows}, b.getIndexType());
    hasHoles = scratch({kAttentionRows}, b.getI8Type());
  }

  Value constant(double value) { return b.constant(f32, value); }
  Value splat(double value) { return b.constant(b.vector(), value); }
  Value zero() { return b.index(0); }
  Value load(Value memref, ValueRange at) { return memref::LoadOp::create(b, memref, at); }
  Value loadVector(Value memref, ValueRange at) {
    return vector::LoadOp::create(b, b.vector(), memref, at);
  }
  void store(Value value, Value memref, ValueRange at) {
    memref::StoreOp::create(b, value, memref, at);
  }
  Value isNegative(Value x) { return b.less(x, b.constant(x.getType(), 0)); }
  Value isMasked(Value x) { return b.equal(x, b.constant(x.getType(), -kInfinity)); }

  //===--------------------------------------------------------------------===//
  // A block of rows
  //===--------------------------------------------------------------------===//

  void emitBlock() {
    Value zeroIndex = zero();
    limit = memref::DimOp::create(b, k, 2);
    if (lengths)
      limit = b.min(limit, b.loadIndex(lengths, batch));
    // Keys past the end of a bias or mask are masked.
    for (Value operand : {bias, mask})
      if (operand)
        limit = b.min(limit, memref::DimOp::create(b, operand, 3));
    offset = offsets ? b.loadIndex(offsets, batch) : zeroIndex;
    b.forEach(zeroIndex, count, 1, [&](Value row) { prepareRow(row); });
    // Later rows see later keys.
    Value from = load(firstKeys, zeroIndex);
    from = b.sub(from, arith::RemUIOp::create(b, from, b.index(op.chunk)));
    Value to = load(endKeys, b.sub(count, b.index(1)));
    b.forEach(from, to, op.chunk, [&](Value start) { emitChunk(start); });
    b.forEach(zeroIndex, count, 1, [&](Value row) { finishRow(row); });
  }

  Value queryOf(Value row) {
    return arith::DivUIOp::create(b, b.add(first, row), b.index(op.group));
  }
  Value headOf(Value row) {
    Value inGroup = arith::RemUIOp::create(b, b.add(first, row), b.index(op.group));
    return b.add(b.mul(kvHead, b.index(op.group)), inGroup);
  }

  void prepareRow(Value row) {
    Value query = queryOf(row), head = headOf(row);
    b.forVectors(op.depth, [&](Value d, int64_t width) {
      Value x = b.loadFloats(q, {batch, query, head, d}, width);
      b.storeFloats(x, qRows, {row, d}, width);
    });
    Value position = b.add(offset, query), from = zero(), to = limit;
    if (op.left >= 0)
      from = b.max(from, b.sub(position, b.index(op.left)));
    if (op.right >= 0)
      to = b.min(to, b.add(position, b.index(op.right + 1)));
    store(from, firstKeys, row);
    store(to, endKeys, row);
    store(constant(-kInfinity), maxima, row);
    store(constant(0), totals, row);
    b.forVectors(valueWidth,
                 [&](Value e, int64_t width) { b.storeFloats(splat(0), sums, {row, e}, width); });
  }

  /// Merges the sink and divides.
  void finishRow(Value row) {
    Value m = load(maxima, row), l = load(totals, row), keep, weight;
    if (sink) {
      Value s = b.convert(load(sink, headOf(row)), f32), top = b.max(m, s);
      weight = b.exp(b.sub(m, top));
      Value merged = b.add(b.mul(l, weight), b.mul(constant(1), b.exp(b.sub(s, top))));
      keep = isMasked(s);
      l = b.select(keep, l, b.select(isMasked(m), constant(1), merged));
    }
    Value isEmpty = b.equal(l, constant(0));
    Value query = queryOf(row), head = headOf(row), divisor = b.broadcast(l);
    b.forVectors(op.valueDepth, [&](Value e, int64_t width) {
      Value o = loadVector(sums, {row, e});
      if (sink) {
        // What the sink adds to o is 0.
        Value merged = b.add(b.mul(o, b.broadcast(weight)), splat(0));
        o = b.select(keep, o, b.select(isMasked(m), splat(0), merged));
      }
      Value quotient = b.select(isEmpty, splat(0), b.div(o, divisor));
      b.storeFloats(quotient, y, {batch, query, head, e}, width);
    });
  }

  //===--------------------------------------------------------------------===//
  // A chunk of keys
  //===--------------------------------------------------------------------===//

  void emitChunk(Value start) {
    chunkStart = start;
    keys = b.min(b.index(op.chunk), b.sub(limit, start));
    transposeKeys();
    forTiles([&](Value row, int64_t rows) { emitProducts(row, rows); });
    b.forEach(zero(), count, 1, [&](Value row) { emitSoftmax(row); });
    b.forEach(zero(), count, b.lanes(), [&](Value row) { mergeTotals(row); });
    forTiles([&](Value row, int64_t rows) { emitSums(row, rows); });
  }

  /// Covers the block's rows by tiles, the largest first.
  void forTiles(function_ref<void(Value, int64_t)> body) {
    Value row = zero();
    for (int64_t rows : {tile.rows, int64_t(4), int64_t(2), int64_t(1)}) {
      Value rest = arith::RemUIOp::create(b, b.sub(count, row), b.index(rows));
      Value end = b.sub(count, rest);
      b.forEach(row, end, rows, [&](Value row) { body(row, rows); });
      row = end;
    }
  }

  /// kColumns[panel][d][j]: keys as columns. Those past the last key repeat it:
  /// their scores are masked.
  void transposeKeys() {
    Value lastKey = b.sub(b.add(chunkStart, keys), b.index(1));
    b.forEach(zero(), keys, b.lanes(), [&](Value key) {
      SmallVector<Value> rows;
      for (int64_t i = 0; i < b.lanes(); ++i)
        rows.push_back(b.min(b.add(b.add(chunkStart, key), b.index(i)), lastKey));
      Value panel = arith::DivUIOp::create(b, key, b.index(tile.width()));
      Value column = arith::RemUIOp::create(b, key, b.index(tile.width()));
      b.forVectors(op.depth, [&](Value d, int64_t width) {
        SmallVector<Value> block;
        for (Value row : rows) {
          block.push_back(b.loadFloats(k, {batch, kvHead, row, d}, width));
          prefetch(k, b.add(row, b.index(b.lanes())), d);
          prefetch(v, row, d);
        }
        transpose(b, block);
        for (int64_t i = 0; i < width; ++i)
          vector::StoreOp::create(b, block[i], kColumns,
                                  ValueRange{panel, b.add(d, b.index(i)), column});
      });
    });
  }

  /// Few rows wait for memory: what is read next comes early. An address past
  /// the end is of no effect.
  void prefetch(Value cache, Value row, Value column) {
    memref::PrefetchOp::create(b, cache, ValueRange{batch, kvHead, row, column},
                               /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
  }

  //===--------------------------------------------------------------------===//
  // Scores
  //===--------------------------------------------------------------------===//

  /// q.k of a tile and all keys of the chunk.
  void emitProducts(Value row, int64_t rows) {
    forPanels({}, [&](Value panel, MutableArrayRef<Value>) {
      SmallVector<Value> dots = products(row, rows, panel);
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < tile.vectors; ++j)
          vector::StoreOp::create(b, dots[i * tile.vectors + j], scores,
                                  ValueRange{b.add(row, b.index(i)), columnOf(panel, j)});
    });
  }

  Value columnOf(Value panel, int64_t vector) {
    return b.add(b.mul(panel, b.index(tile.width())), b.index(vector * tile.lanes));
  }

  /// Panels with keys, the values of `state` updated by each.
  SmallVector<Value> forPanels(ArrayRef<Value> state,
                               function_ref<void(Value, MutableArrayRef<Value>)> body) {
    Value used = arith::CeilDivUIOp::create(b, keys, b.index(tile.width()));
    return b.forEach(zero(), panels == 1 ? b.index(1) : used, 1, state, body);
  }

  /// q.k of `rows` rows and the keys of a panel, vector by vector.
  SmallVector<Value> products(Value row, int64_t rows, Value panel) {
    SmallVector<Value> at;
    for (int64_t i = 0; i < rows; ++i)
      at.push_back(b.add(row, b.index(i)));
    SmallVector<Value> dots(rows * tile.vectors, splat(0));
    return b.forEach(zero(), b.index(op.depth), 1, dots, [&](Value d, MutableArrayRef<Value> dots) {
      SmallVector<Value> columns;
      for (int64_t j = 0; j < tile.vectors; ++j)
        columns.push_back(loadVector(kColumns, {panel, d, b.index(j * tile.lanes)}));
      for (int64_t i = 0; i < rows; ++i) {
        Value factor = b.broadcast(load(qRows, {at[i], d}));
        for (int64_t j = 0; j < tile.vectors; ++j) {
          Value &dot = dots[i * tile.vectors + j];
          dot = b.multiplyAdd(factor, columns[j], dot);
        }
      }
    });
  }

  Value inChunk(Value key) { return b.min(b.max(b.sub(key, chunkStart), zero()), keys); }
  /// The first and the end key of the chunk that a row sees, but for a mask.
  Value firstKeyOf(Value row) { return inChunk(load(firstKeys, row)); }
  Value endKeyOf(Value row) { return inChunk(load(endKeys, row)); }

  /// Whether lanes from `column` on are keys of [from, to), given in the chunk.
  Value isWithin(Value column, Value from, Value to) {
    Type i32 = b.getI32Type();
    auto lanes = llvm::to_vector(llvm::seq<int32_t>(0, b.lanes()));
    Value steps = arith::ConstantOp::create(b, b.getI32VectorAttr(lanes));
    Value at = b.add(b.broadcast(b.convert(column, i32)), steps);
    Value isBefore = b.less(at, b.broadcast(b.convert(from, i32)));
    Value isInside = b.less(at, b.broadcast(b.convert(to, i32)));
    return b.select(isBefore, b.constant(isBefore.getType(), 0), isInside);
  }

  /// Replaces the products of a row by exp(x - m), with m and their sum.
  void emitSoftmax(Value row) {
    Value from = firstKeyOf(row), to = endKeyOf(row);
    Value none = b.constant(b.vectorOf(b.getI1Type()), 0);
    SmallVector<Value> found =
        forPanels({splat(-kInfinity), none}, [&](Value panel, MutableArrayRef<Value> state) {
          for (int64_t j = 0; j < tile.vectors; ++j) {
            Value column = columnOf(panel, j), isInRange = isWithin(column, from, to);
            Value x = visibleScore(loadVector(scores, {row, column}), row, column, isInRange);
            vector::StoreOp::create(b, x, scores, ValueRange{row, column});
            state[0] = b.max(state[0], x);
            state[1] = b.either(state[1], b.both(isMasked(x), isInRange));
          }
        });
    Value m = b.maximumOfLanes(found[0]);
    Value isAny = vector::ReductionOp::create(b, vector::CombiningKind::OR, found[1]);
    SmallVector<Value> total = forPanels(splat(0), [&](Value panel, MutableArrayRef<Value> total) {
      for (int64_t j = 0; j < tile.vectors; ++j) {
        Value column = columnOf(panel, j), x = loadVector(scores, {row, column});
        Value p = b.exp(b.sub(x, b.broadcast(m)));
        total[0] = b.add(total[0], b.select(isMasked(x), splat(0), p));
        vector::StoreOp::create(b, b.select(isMasked(x), splat(kMasked), p), scores,
                                ValueRange{row, column});
      }
    });
    store(m, chunkMaxima, row);
    store(b.sumOfLanes(total[0]), chunkTotals, row);
    store(arith::ExtUIOp::create(b, b.getI8Type(), isAny), hasHoles, row);
  }

  /// Scaled, capped and biased; -inf where the row does not see the key.
  Value visibleScore(Value dot, Value row, Value column, Value isVisible) {
    Value x = b.mul(dot, splat(op.scale));
    if (op.softcap != 0) {
      Value cap = splat(op.softcap);
      x = b.mul(cap, math::TanhOp::create(b, b.div(x, cap)).getResult());
    }
    if (bias)
      x = b.add(x, ofScore(bias, row, column));
    if (mask) {
      Value bytes = ofScore(mask, row, column);
      Value isZero = b.equal(bytes, b.constant(bytes.getType(), 0));
      isVisible = b.select(isZero, b.constant(isZero.getType(), 0), isVisible);
    }
    return b.select(isVisible, x, splat(-kInfinity));
  }

  /// A vector of a bias or mask, zeros beyond the keys that exist.
  Value ofScore(Value operand, Value row, Value column) {
    VectorType type = b.vectorOf(cast<MemRefType>(operand.getType()).getElementType());
    SmallVector<Value> at{batch, headOf(row), queryOf(row)};
    for (auto [dim, index] : llvm::enumerate(at)) {
      Value size = memref::DimOp::create(b, operand, dim);
      index = b.select(b.equal(size, b.index(1)), zero(), index);
    }
    at.push_back(b.add(chunkStart, column));
    Value present = b.max(b.sub(keys, column), zero());
    Value inside = vector::CreateMaskOp::create(b, b.vectorOf(b.getI1Type()), present);
    return vector::MaskedLoadOp::create(b, type, operand, at, inside, b.constant(type, 0));
  }

  //===--------------------------------------------------------------------===//
  // Merging a chunk
  //===--------------------------------------------------------------------===//

  /// Merges (m, l) of a vector of rows, and leaves what o is to be merged with.
  void mergeTotals(Value row) {
    Value before = loadVector(maxima, row), chunk = loadVector(chunkMaxima, row);
    Value la = loadVector(totals, row), lb = loadVector(chunkTotals, row);
    Value m = b.max(before, chunk);
    Value wa = b.exp(b.sub(before, m)), wb = b.exp(b.sub(chunk, m));
    Value keeps = isMasked(chunk), starts = isMasked(before);
    Value merged = b.add(b.mul(la, wa), b.mul(lb, wb));
    Value l = b.select(keeps, la, b.select(starts, lb, merged));
    auto put = [&](Value value, Value memref) { vector::StoreOp::create(b, value, memref, row); };
    put(m, maxima);
    put(l, totals);
    put(b.select(starts, splat(kMasked), wa), weights);
    put(b.select(keeps, splat(kMasked), wb), chunkWeights);
  }

  /// Sums the values of a tile and merges them.
  void emitSums(Value row, int64_t rows) {
    int64_t tail = op.valueDepth % tile.width(), full = op.valueDepth - tail;
    auto widths = [&](int64_t elements) {
      SmallVector<int64_t> widths;
      for (int64_t e = 0; e < elements; e += tile.lanes)
        widths.push_back(std::min(tile.lanes, elements - e));
      return widths;
    };
    if (full)
      b.forEach(zero(), b.index(full), tile.width(),
                [&](Value e) { emitSums(row, rows, e, widths(tile.width())); });
    if (tail)
      emitSums(row, rows, b.index(full), widths(tail));
  }

  void emitSums(Value row, int64_t rows, Value column, ArrayRef<int64_t> widths) {
    // Later rows see later keys.
    Value last = b.add(row, b.index(rows - 1));
    Value from = firstKeyOf(row), to = endKeyOf(last);
    SmallVector<Value> init(rows * widths.size(), splat(0));
    SmallVector<Type> types(init.size(), b.vector());
    Value isPlain = b.both(b.equal(from, firstKeyOf(last)), b.equal(endKeyOf(row), to));
    for (int64_t i = 0; i < rows; ++i) {
      Value holes = load(hasHoles, b.add(row, b.index(i)));
      isPlain = b.both(isPlain, b.equal(holes, b.constant(b.getI8Type(), 0)));
    }
    auto branch = scf::IfOp::create(b, types, isPlain, /*withElseRegion=*/true);
    for (bool masks : {false, true}) {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(masks ? branch.elseBlock() : branch.thenBlock());
      SmallVector<Value> results =
          b.forEach(from, to, 1, init, [&](Value key, MutableArrayRef<Value> sums) {
            addValues(row, rows, key, column, widths, masks, sums);
          });
      scf::YieldOp::create(b, results);
    }
    for (int64_t i = 0; i < rows; ++i)
      for (size_t j = 0; j < widths.size(); ++j)
        mergeSum(b.add(row, b.index(i)), b.add(column, b.index(j * tile.lanes)),
                 branch.getResult(i * widths.size() + j));
  }

  void addValues(Value row, int64_t rows, Value key, Value column, ArrayRef<int64_t> widths,
                 bool masks, MutableArrayRef<Value> sums) {
    SmallVector<Value> values;
    for (auto [j, width] : llvm::enumerate(widths)) {
      Value e = b.add(column, b.index(j * tile.lanes));
      values.push_back(b.loadFloats(v, {batch, kvHead, b.add(chunkStart, key), e}, width));
    }
    for (int64_t i = 0; i < rows; ++i) {
      Value p = b.broadcast(load(scores, {b.add(row, b.index(i)), key}));
      for (size_t j = 0; j < widths.size(); ++j) {
        Value &sum = sums[i * widths.size() + j];
        Value next = b.multiplyAdd(p, values[j], sum);
        sum = masks ? b.select(isNegative(p), sum, next) : next;
      }
    }
  }

  void mergeSum(Value row, Value column, Value chunk) {
    Value before = loadVector(sums, {row, column});
    Value wa = load(weights, row), wb = load(chunkWeights, row);
    Value merged = b.add(b.mul(before, b.broadcast(wa)), b.mul(chunk, b.broadcast(wb)));
    Value o = b.select(isNegative(wb), before, b.select(isNegative(wa), chunk, merged));
    vector::StoreOp::create(b, o, sums, ValueRange{row, column});
  }

  KernelBuilder &b;
  const Attention &op;
  MatmulTile tile;
  Type f32;
  int64_t panels, valueWidth = 0;
  Value q, k, v, bias, mask, sink, lengths, offsets, y, begin, end;
  /// Scratch memory, by row of the block: queries, scores and then
  /// exponentials, and (m, l, o) so far and of the chunk with their weights.
  Value qRows, scores, maxima, totals, sums, chunkMaxima, chunkTotals, weights, chunkWeights;
  Value kColumns, firstKeys, endKeys, hasHoles;
  /// The block: its rows [first, first + count) of a key head.
  Value batch, kvHead, first, count, limit, offset;
  /// The chunk: its first key and the number of those that exist.
  Value chunkStart, keys;
};

} // namespace

void emitAttention(KernelBuilder &b, const Attention &op, const Chip &chip, ValueRange arguments) {
  AttentionEmitter(b, op, chip, arguments).emit();
}

} // namespace moec
