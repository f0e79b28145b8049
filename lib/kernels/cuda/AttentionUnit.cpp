#include "lib/kernels/cuda/AttentionUnit.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moec::cuda {
namespace {

//===----------------------------------------------------------------------===//
// Tensor cores
//===----------------------------------------------------------------------===//

/// Lanes read 16 bytes, and the order of what is summed is free as long as both
/// operands have it: in scores the lane's eight dimensions are those of its two
/// words in two products; a column of o is one of eight that a lane reads.
class TensorCoreAttention : public AttentionUnit {
public:
  using AttentionUnit::AttentionUnit;

  SmallVector<Value> scores(const ChunkKeys &keys) override {
    LaneRows mine = keyRows(keys, group);
    SmallVector<Value> rows;
    for (int64_t tile = 0; tile < keyTiles(); ++tile)
      rows.push_back(mine.row(8 * tile));
    SmallVector<Value> result(4 * keyTiles(), zero());
    // A loop for wide heads: registers hold no more of what is on the way.
    int64_t looped = op.depth / kLooped * kLooped;
    result = b.forEach(b.i32(0), b.i32(looped), kLooped, result,
                       [&](Value from, MutableArrayRef<Value> sums) {
                         for (int64_t d = 0; d < kLooped; d += kDimensions)
                           addDimensions(rows, b.add(from, b.i32(d)), /*isRagged=*/false, sums);
                       });
    for (int64_t d = looped; d < op.depth; d += kDimensions)
      addDimensions(rows, b.i32(d), d + kDimensions > op.depth, result);
    return result;
  }

  void setExponentials(ArrayRef<Value> exponentials) override {
    AttentionUnit::setExponentials(exponentials);
    digits.clear();
    for (size_t i = 0; i < exponentials.size(); i += 8)
      digits.push_back(digitsOf(exponentials.slice(i, 8)));
  }

  /// Tensor cores multiply a masked value by 0, which is not 0 if the value is
  /// not finite. Then all such values are left out, and added where they are not
  /// masked; sums without them keep their bits.
  SmallVector<Value> sums(const ChunkKeys &keys, Value column) override {
    Value bytes = bytesBefore(column);
    LaneRows rows = valueRows(keys, b.mul(place, b.i32(2)));
    SmallVector<Value> sums(2 * kColumnsOfLane, zero());
    for (auto [step, p] : llvm::enumerate(digits))
      addProducts(p, values(rows, 16 * step, bytes), sums);
    Value zeros = zero();
    for (Value sum : sums)
      zeros = b.multiplyAdd(sum, zero(), zeros);
    Value isFinite = b.equal(b.ballot(b.equal(zeros, zero())), b.i32(-1));
    return b.choose(
        isFinite, ValueRange(sums).getTypes(), [&] { return sums; },
        [&] { return addInfinities(keys, column, finiteSums(keys, bytes)); });
  }

private:
  /// Dimensions of two products, and of those in a step of a loop.
  static constexpr int64_t kDimensions = 32, kLooped = 4 * kDimensions;

  /// Words of the exponentials of 16 keys, as fragments of the left operand: their
  /// sum is them.
  struct Digits {
    std::array<Value, 4> high, low;
  };

  void addDimensions(ArrayRef<Value> rows, Value from, bool isRagged,
                     MutableArrayRef<Value> scores) {
    // Queries are read again for each chunk: registers are for o.
    SmallVector<Value> low = dimensions(addresses.q[0], from, isRagged);
    SmallVector<Value> high = dimensions(addresses.q[1], from, isRagged);
    for (auto [tile, row] : llvm::enumerate(rows)) {
      SmallVector<Value> k = dimensions(row, from, isRagged);
      MutableArrayRef<Value> sum = scores.slice(4 * tile, 4);
      for (size_t word = 0; word < 4; word += 2)
        llvm::copy(b.multiplyTile(op.element,
                                  {low[word], high[word], low[word + 1], high[word + 1]},
                                  ArrayRef(k).slice(word, 2), sum),
                   sum.begin());
    }
  }

  Value zero() { return b.constant(b.getF32Type(), 0); }

  /// The sums of the finite values alone. It reads all operands again, in a loop, so
  /// that no register waits for what hardly ever happens.
  SmallVector<Value> finiteSums(const ChunkKeys &keys, Value bytes) {
    SmallVector<Value> zeros(2 * kColumnsOfLane, zero());
    return b.forEach(b.i32(0), b.i32(8 * keyTiles()), 16, zeros,
                     [&](Value from, MutableArrayRef<Value> sums) {
                       Value mine = b.add(from, b.mul(place, b.i32(2)));
                       auto v = values(valueRows(keys, mine), 0, bytes);
                       for (SmallVector<Value> &row : v)
                         for (Value &word : row)
                           word = withoutInfinities(word);
                       addProducts(digitsOf(storedExponentials(mine)), v, sums);
                     });
  }

  SmallVector<Value> addInfinities(const ChunkKeys &keys, Value column, ArrayRef<Value> finite) {
    return overKeys(keys, column, finite, [&](Value p, Value value, Value sum) {
      Value isSeen = b.less(b.constant(b.getF32Type(), -0.5), p);
      Value isRight = b.equal(b.mul(value, zero()), zero());
      Value repaired = b.select(isSeen, b.multiplyAdd(p, value, sum), sum);
      return b.select(isRight, sum, repaired);
    });
  }

  /// Where the lane's columns of a row of values begin.
  Value bytesBefore(Value column) {
    // A column past the last is that of another, and not stored.
    Value at = b.add(column, b.mul(group, b.i32(8)));
    if (op.valueDepth % kValueColumns != 0)
      at = b.select(b.less(at, b.i32(op.valueDepth)), at, b.i32(0));
    return b.mul(at, b.i32(2));
  }

  /// The lane's columns of its four of 16 keys.
  std::array<SmallVector<Value>, 4> values(const LaneRows &rows, int64_t from, Value bytes) {
    std::array<SmallVector<Value>, 4> result;
    for (auto [i, row] : llvm::enumerate(result))
      row = words(b.at(rows.row(from + i % 2 + i / 2 * 8), bytes));
    return result;
  }

  void addProducts(const Digits &p, const std::array<SmallVector<Value>, 4> &rows,
                   MutableArrayRef<Value> sums) {
    constexpr size_t kTiles = 8;
    for (size_t tile = 0; tile < kTiles; ++tile) {
      // Of each word the low or the high element, of two keys.
      std::array<Value, 2> values{pairOf(rows[0][tile / 2], rows[1][tile / 2], tile % 2),
                                  pairOf(rows[2][tile / 2], rows[3][tile / 2], tile % 2)};
      std::array<Value, 4> sum;
      for (size_t i = 0; i < 4; ++i)
        sum[i] = sums[i * kTiles + tile];
      for (ArrayRef<Value> exponentials : {ArrayRef(p.high), ArrayRef(p.low)})
        sum = b.multiplyTile(op.element, exponentials, values, sum);
      for (size_t i = 0; i < 4; ++i)
        sums[i * kTiles + tile] = sum[i];
    }
  }

  SmallVector<Value> words(Value pointer) {
    Value loaded = b.load(VectorType::get(4, b.getI32Type()), pointer);
    SmallVector<Value> result;
    for (int64_t i = 0; i < 4; ++i)
      result.push_back(vector::ExtractOp::create(b, loaded, i));
    return result;
  }

  /// This lane's eight of the dimensions `from` on of a row; zeros past the last if
  /// it `isRagged`.
  SmallVector<Value> dimensions(Value row, Value from, bool isRagged) {
    Value at = b.add(from, b.mul(place, b.i32(8)));
    Value isInside = isRagged ? b.less(at, b.i32(op.depth)) : Value();
    if (isRagged)
      at = b.select(isInside, at, b.i32(0));
    SmallVector<Value> result = words(b.at(row, b.mul(at, b.i32(2))));
    if (isRagged)
      for (Value &word : result)
        word = b.select(isInside, word, b.i32(0));
    return result;
  }

  Value permute(Value low, Value high, uint32_t selector) {
    return NVVM::PermuteOp::create(b, b.getI32Type(), low, high, b.i32(selector),
                                   NVVM::PermuteMode::DEFAULT);
  }
  /// Zeros for the elements of a word that are not finite: their exponents are
  /// ones.
  Value withoutInfinities(Value word) {
    uint32_t exponent = op.element.isBF16() ? 0x7f80 : 0x7c00;
    for (uint32_t shift : {0, 16}) {
      Value isStrange = b.equal(b.masked(word, exponent << shift), b.i32(exponent << shift));
      word = b.select(isStrange, b.masked(word, 0xffff0000 >> shift), word);
    }
    return word;
  }
  /// The low or the high halves of two words.
  Value pairOf(Value low, Value high, bool isHigh) {
    return permute(low, high, isHigh ? 0x7632 : 0x5410);
  }

  /// Of eight, two keys in two rows and then eight keys behind.
  Digits digitsOf(ArrayRef<Value> exponentials) {
    Digits digits;
    for (size_t i = 0; i < 4; ++i) {
      std::array<Value, 2> pair;
      for (size_t j = 0; j < 2; ++j)
        pair[j] = b.max(exponentials[2 * i + j], zero());
      std::tie(digits.high[i], digits.low[i]) =
          op.element.isBF16() ? splitBf16(pair) : splitF16(pair);
    }
    return digits;
  }

  /// The eight of keys from this lane's `first` on.
  SmallVector<Value> storedExponentials(Value first) {
    SmallVector<Value> result;
    for (int64_t i = 0; i < 4; ++i) {
      Value pointer = exponentialAt(b.add(first, b.i32(i / 2 * 8)), i % 2);
      Value pair = b.load(VectorType::get(2, b.getF32Type()), pointer);
      for (int64_t j = 0; j < 2; ++j)
        result.push_back(vector::ExtractOp::create(b, pair, j));
    }
    return result;
  }

  /// Two floats as words of their high and low digits: bf16 is the upper half of
  /// a float.
  std::pair<Value, Value> splitBf16(ArrayRef<Value> pair) {
    std::array<Value, 2> bits, rest;
    for (size_t i = 0; i < 2; ++i) {
      bits[i] = b.bitcast(pair[i], b.getI32Type());
      Value high = b.bitcast(b.masked(bits[i], 0xffff0000), b.getF32Type());
      rest[i] = b.bitcast(b.sub(pair[i], high), b.getI32Type());
    }
    return {pairOf(bits[0], bits[1], true), pairOf(rest[0], rest[1], true)};
  }

  std::pair<Value, Value> splitF16(ArrayRef<Value> pair) {
    SmallVector<Value> high, low;
    for (Value value : pair) {
      high.push_back(b.convert(value, op.element));
      low.push_back(b.convert(b.sub(value, b.convert(high.back(), b.getF32Type())), op.element));
    }
    auto word = [&](ArrayRef<Value> halves) {
      Value both = vector::FromElementsOp::create(b, VectorType::get(2, op.element), halves);
      return b.bitcast(both, b.getI32Type());
    };
    return {word(high), word(low)};
  }

  /// Of each 16 keys.
  SmallVector<Digits> digits;
};

//===----------------------------------------------------------------------===//
// Multiply-adds
//===----------------------------------------------------------------------===//

class MultiplyAddAttention : public AttentionUnit {
public:
  using AttentionUnit::AttentionUnit;

  SmallVector<Value> scores(const ChunkKeys &keys) override {
    LaneRows mine = keyRows(keys, b.mul(place, b.i32(2)));
    SmallVector<Value> rows;
    for (int64_t tile = 0; tile < keyTiles(); ++tile)
      for (int64_t i = 0; i < 2; ++i)
        rows.push_back(mine.row(8 * tile + i));
    SmallVector<Value> sums(2 * rows.size(), b.constant(b.getF32Type(), 0));
    int64_t together = elementsTogether(op.depth);
    return b.forEach(b.i32(0), b.i32(op.depth), together, sums,
                     [&](Value d, MutableArrayRef<Value> sums) {
                       std::array<SmallVector<Value>, 2> q;
                       for (size_t i = 0; i < 2; ++i)
                         q[i] = floats(addresses.q[i], d, together);
                       for (auto [column, row] : llvm::enumerate(rows)) {
                         SmallVector<Value> k = floats(row, d, together);
                         for (size_t i = 0; i < 2; ++i) {
                           Value &sum = sums[column / 2 * 4 + 2 * i + column % 2];
                           for (int64_t e = 0; e < together; ++e)
                             sum = b.multiplyAdd(q[i][e], k[e], sum);
                         }
                       }
                     });
  }

  SmallVector<Value> sums(const ChunkKeys &keys, Value column) override {
    SmallVector<Value> init(2 * kColumnsOfLane, b.constant(b.getF32Type(), 0));
    return overKeys(keys, column, init, [&](Value p, Value value, Value sum) {
      Value isMasked = b.less(p, b.constant(b.getF32Type(), 0));
      return b.select(isMasked, sum, b.multiplyAdd(p, value, sum));
    });
  }
};

} // namespace

//===----------------------------------------------------------------------===//
// What both have in common
//===----------------------------------------------------------------------===//

/// Bytes of a row of exponentials. Rows of eight lanes lie in different banks:
/// 32 bytes apart where what counts is that lanes write pairs, 16 where each row
/// is read by element.
static int64_t pitchOf(const Attention &op) {
  return llvm::alignTo(op.chunk, 32) * 4 + (op.usesTensorCores() ? 32 : 16);
}

LaneRows::LaneRows(BlockBuilder &b, Value memory, Value bytes, const ChunkKeys &keys, Value mine)
    : b(b), bytes(bytes) {
  Value first = b.add(keys.start, mine);
  origin = b.at(memory, b.mul(b.toI64(first), bytes));
  lowest = b.sub(keys.first, first);
  highest = b.sub(keys.last, first);
}

Value LaneRows::row(int64_t distance) const {
  Value nearest = b.max(b.min(b.i32(distance), highest), lowest);
  return b.at(origin, b.mul(b.toI64(nearest), bytes));
}

int64_t AttentionUnit::memoryBytes(const Attention &op) { return kRowsOfTile * pitchOf(op); }

Value AttentionUnit::exponentialAt(Value key, int64_t isSecond) {
  int64_t pitch = pitchOf(op);
  Value row = b.at(memory, b.mul(group, b.i32(pitch)));
  return b.at(b.at(row, b.mul(key, b.i32(4))), isSecond * 8 * pitch);
}

void AttentionUnit::synchronise() { NVVM::SyncWarpOp::create(b, b.i32(-1)); }

void AttentionUnit::setExponentials(ArrayRef<Value> exponentials) {
  // Those of the chunk before have been read.
  synchronise();
  std::array<Value, 2> mine;
  for (size_t i = 0; i < 2; ++i)
    mine[i] = exponentialAt(b.mul(place, b.i32(2)), i);
  for (size_t i = 0; i < exponentials.size(); i += 2) {
    Value both = vector::FromElementsOp::create(b, VectorType::get(2, b.getF32Type()),
                                                exponentials.slice(i, 2));
    b.store(both, b.at(mine[i % 4 / 2], i / 4 * 32));
  }
  synchronise();
}

int64_t AttentionUnit::elementsTogether(int64_t width) const {
  return op.isAligned && width % 4 == 0 ? 4 : 1;
}

SmallVector<Value> AttentionUnit::floats(Value row, Value at, int64_t count) {
  return loadFloats(b, op.element, b.at(row, b.mul(at, b.i32(bytesOf(op.element)))), count);
}

SmallVector<Value> AttentionUnit::overKeys(const ChunkKeys &keys, Value column,
                                           ArrayRef<Value> init,
                                           function_ref<Value(Value, Value, Value)> update) {
  Value from = b.max(b.sub(keys.first, keys.start), b.i32(0));
  Value to = b.min(b.add(b.sub(keys.last, keys.start), b.i32(1)), b.i32(op.chunk));
  int64_t together = elementsTogether(op.valueDepth);
  SmallVector<Value> columns;
  for (int64_t i = 0; i < kColumnsOfLane; i += together) {
    Value at = b.add(b.add(column, b.i32(i)), b.mul(place, b.i32(kColumnsOfLane)));
    columns.push_back(b.select(b.less(at, b.i32(op.valueDepth)), at, b.i32(0)));
  }
  return b.forEach(from, to, 1, init, [&](Value key, MutableArrayRef<Value> sums) {
    Value row = valueRows(keys, key).row(0);
    SmallVector<Value> values;
    for (Value at : columns)
      llvm::append_range(values, floats(row, at, together));
    for (int64_t i = 0; i < 2; ++i) {
      Value p = b.load(b.getF32Type(), exponentialAt(key, i));
      for (auto [e, value] : llvm::enumerate(values)) {
        Value &sum = sums[i * kColumnsOfLane + e];
        sum = update(p, value, sum);
      }
    }
  });
}

std::unique_ptr<AttentionUnit> createAttentionUnit(BlockBuilder &b, const Attention &op,
                                                   const AttentionAddresses &addresses,
                                                   Value memory) {
  if (op.usesTensorCores())
    return std::make_unique<TensorCoreAttention>(b, op, addresses, memory);
  return std::make_unique<MultiplyAddAttention>(b, op, addresses, memory);
}

} // namespace moec::cuda
