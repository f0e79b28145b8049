#include "lib/kernels/cuda/MatmulBlock.h"

#include "dialects/moe/Activation.h"
#include "lib/kernels/KernelArguments.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;

namespace moec::cuda {

MatmulBlock::MatmulBlock(BlockBuilder &b, const Matmul &matmul, int64_t parts, int64_t tokens,
                         ValueRange arguments, Value block)
    : b(b), matmul(matmul), layout(matmul.layout), parts(parts), tokens(tokens), block(block) {
  auto next = [&] { return takeArgument(arguments); };
  x = next();
  rowTable = matmul.hasRows ? b.globalMemory(next()) : Value();
  offsets = matmul.hasOffsets ? b.globalMemory(next()) : Value();
  weights = b.globalMemory(next());
  scales = isInteger(layout.element) ? b.globalMemory(next()) : Value();
  zeros = matmul.hasZeros ? b.globalMemory(next()) : Value();
  bias = matmul.hasBias ? b.globalMemory(next()) : Value();
  y = next();
  xRowBytes = b.rowBytes(x);
  totalRows = b.toI32(b.sizeOf(y, 0));
  x = b.globalMemory(x);
}

Value MatmulBlock::panelOfAll(Value panel) {
  return b.add(b.mul(group, b.i32(layout.panels())), panel);
}

Value MatmulBlock::isPast() {
  return matmul.hasOffsets ? b.equal(group, b.i32(layout.groups)) : b.constant(b.getI1Type(), 0);
}

/// Blocks are numbered by group, and in it as findTile says. Those of a group have
/// equally many rows, but for the last: so they stay together, and what one has
/// read is in the cache for the others. Returns whether there is work for this one.
Value MatmulBlock::find() {
  Value isFound, start, from, to;
  if (matmul.hasOffsets) {
    isFound = findGroup(start, from, to);
  } else {
    group = start = from = b.i32(0);
    to = totalRows;
  }
  Value rows = b.sub(to, from), rowTiles = b.ceilDivided(rows, tokens);
  if (!matmul.hasOffsets)
    isFound = b.less(block, b.mul(rowTiles, b.i32(parts)));
  // Not divided by zero where nothing is found.
  rowTiles = b.max(rowTiles, b.i32(1));
  Value each = b.i32(tokens);
  if (matmul.hasOffsets)
    each = arith::DivUIOp::create(b, b.sub(b.add(rows, rowTiles), b.i32(1)), rowTiles);
  firstRow = b.add(from, b.mul(findTile(b.sub(block, start), rowTiles), each));
  rowCount = b.min(b.sub(to, firstRow), each);
  return isFound;
}

/// Finds the part of block `index` of a group, and returns its tile of rows. Rows pass
/// by a matrix that stays in the cache: a tile's parts follow each other. A larger
/// matrix passes by a band of rows: a part's tiles follow each other, and parts go
/// backwards in odd bands, to begin with what the band before has left in the cache.
/// The last band takes what is less than half of one more.
Value MatmulBlock::findTile(Value index, Value rowTiles) {
  if (matmul.tile.bandTokens == 0) {
    part = b.remainder(index, parts);
    return b.divided(index, parts);
  }
  int64_t bandTiles = llvm::divideCeil(matmul.tile.bandTokens, tokens);
  Value bands = b.divided(b.add(rowTiles, b.i32(bandTiles / 2)), bandTiles);
  Value last = b.sub(b.max(bands, b.i32(1)), b.i32(1));
  Value band = b.min(b.divided(index, bandTiles * parts), last);
  Value firstTile = b.mul(band, b.i32(bandTiles));
  Value tiles = b.select(b.less(band, last), b.i32(bandTiles), b.sub(rowTiles, firstTile));
  Value inBand = b.sub(index, b.mul(firstTile, b.i32(parts)));
  Value forwards = arith::DivUIOp::create(b, inBand, tiles);
  Value backwards = b.sub(b.i32(parts - 1), forwards);
  part = b.select(b.equal(b.remainder(band, 2), b.i32(0)), forwards, backwards);
  return b.add(firstTile, arith::RemUIOp::create(b, inBand, tiles));
}

/// The group of this block; each lane looks at one of 32 at a time. One group
/// more stands for the rows past all.
Value MatmulBlock::findGroup(Value &start, Value &from, Value &to) {
  Value zero = b.i32(0), lane = b.lane();
  Value none = b.constant(b.getI1Type(), 0);
  SmallVector<Value> found = b.forEach(
      zero, b.i32(layout.groups + 1), kWarp, {none, zero, zero, zero, zero, zero},
      [&](Value first, MutableArrayRef<Value> state) {
        Value candidate = b.add(first, lane);
        Value begin = loadOffset(candidate);
        Value end = loadOffset(b.add(candidate, b.i32(1)));
        Value blocks = b.mul(b.ceilDivided(b.sub(end, begin), tokens), b.i32(parts));
        Value upTo = blocks;
        for (int64_t distance = 1; distance < kWarp; distance *= 2) {
          Value below = b.fromLaneBelow(upTo, distance);
          Value isThere = b.less(b.i32(distance - 1), lane);
          upTo = b.add(upTo, b.select(isThere, below, zero));
        }
        upTo = b.add(upTo, state[5]);
        Value firstBlock = b.sub(upTo, blocks);
        Value isMine = b.both(b.less(block, upTo), b.less(firstBlock, b.add(block, b.i32(1))));
        Value hits = b.ballot(isMine);
        Value isHit = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, hits, zero);
        Value hit = math::CountTrailingZerosOp::create(b, hits);
        state[0] = b.either(state[0], isHit);
        for (auto [slot, value] : llvm::enumerate(std::array{candidate, firstBlock, begin, end}))
          state[1 + slot] = b.select(isHit, b.fromLane(value, hit), state[1 + slot]);
        state[5] = b.fromLane(upTo, b.i32(kWarp - 1));
      });
  group = found[1], start = found[2], from = found[3], to = found[4];
  return found[0];
}

/// The first row of a group, the number of all rows past the last.
Value MatmulBlock::loadOffset(Value index) {
  Value isOffset = b.less(index, b.i32(layout.groups + 1));
  return b.loadIf(isOffset, b.getI32Type(), b.at(offsets, b.mul(index, b.i32(4))), totalRows);
}

Value MatmulBlock::findTokenRow(Value token) {
  Value isRow = b.less(token, rowCount);
  Value row = b.add(firstRow, token);
  if (rowTable)
    row = b.loadIf(isRow, b.getI32Type(), b.at(rowTable, b.mul(b.toI64(row), b.i64(4))), b.i32(0));
  if (matmul.rowDivisor != 1)
    row = b.divided(row, matmul.rowDivisor);
  return b.select(isRow, row, b.i32(-1));
}

Value MatmulBlock::isRow(Value row) { return b.less(b.i32(-1), row); }

Value MatmulBlock::addressOf(Value row) {
  return b.at(x, b.mul(b.toI64(b.max(row, b.i32(0))), xRowBytes));
}

void MatmulBlock::store(Value panel, ArrayRef<Value> rows, ArrayRef<Value> tokens,
                        ArrayRef<Value> sums) {
  Value yRowBytes = b.rowBytes(y), memory = b.globalMemory(y);
  Value rowsOfY = b.at(memory, b.mul(b.toI64(firstRow), yRowBytes));
  for (auto [i, row] : llvm::enumerate(rows)) {
    Value column = b.add(b.mul(panel, b.i32(layout.resultWidth())), row);
    SmallVector<Value> columns{column};
    if (!layout.isGated())
      columns.push_back(b.add(column, b.i32(kHalf)));
    SmallVector<Value> addends = loadBias(column);
    for (auto [j, token] : llvm::enumerate(tokens)) {
      size_t first = i * tokens.size() + j, second = first + rows.size() * tokens.size();
      SmallVector<Value> values = epilogue({sums[first], sums[second]}, addends);
      Value rowOfY = b.at(rowsOfY, b.mul(b.toI64(token), yRowBytes));
      for (auto [value, at] : llvm::zip(values, columns))
        storeElement(value, rowOfY, token, at);
    }
  }
}

void MatmulBlock::storeElement(Value value, Value row, Value token, Value column) {
  Value isThere = b.less(token, rowCount);
  if (layout.resultColumns() % layout.resultWidth() != 0)
    isThere = b.both(isThere, b.less(column, b.i32(layout.resultColumns())));
  int64_t bytes = matmul.y.getIntOrFloatBitWidth() / 8;
  b.ifTrue(isThere,
           [&] { b.store(b.convert(value, matmul.y), b.at(row, b.mul(column, b.i32(bytes)))); });
}

/// What is added in both halves; a row past the last adds nothing that is
/// stored.
SmallVector<Value> MatmulBlock::loadBias(Value column) {
  SmallVector<Value> addends;
  if (!bias)
    return addends;
  for (int64_t half = 0; half < 2; ++half) {
    Value row = column;
    if (layout.gate == GateRows::interleaved)
      row = b.add(b.mul(column, b.i32(2)), b.i32(half));
    else if (layout.gate == GateRows::halves)
      row = b.add(column, b.i32(half * layout.resultColumns()));
    else
      row = b.add(column, b.i32(half * kHalf));
    Value at = b.add(b.mul(group, b.i32(layout.n)), row);
    Value isThere = b.less(row, b.i32(layout.n));
    if (matmul.hasOffsets)
      isThere = b.both(isThere, b.less(group, b.i32(layout.groups)));
    addends.push_back(b.loadIf(isThere, b.getF32Type(), b.at(bias, b.mul(b.toI64(at), b.i64(4))),
                               b.constant(b.getF32Type(), 0)));
  }
  return addends;
}

SmallVector<Value> MatmulBlock::epilogue(SmallVector<Value> values, ArrayRef<Value> addends) {
  if (!addends.empty())
    for (auto [value, addend] : llvm::zip(values, addends))
      value = b.add(value, addend);
  if (layout.isGated())
    values = {moe::activate(b, matmul.activation, values[0], values[1])};
  else if (matmul.activation)
    for (Value &value : values)
      value = moe::activate(b, matmul.activation, value, {});
  if (matmul.hasOffsets) {
    Value past = isPast();
    for (Value &value : values)
      value = b.select(past, b.constant(b.getF32Type(), 0), value);
  }
  return values;
}

} // namespace moec::cuda
