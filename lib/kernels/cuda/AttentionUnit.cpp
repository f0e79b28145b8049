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

  SmallVector<Value> scores(Value start, Value first, Value last) override {
    SmallVector<Value> rows;
    for (int64_t tile = 0; tile < keyTiles(); ++tile)
      rows.push_back(keyAt(clamped(b.add(b.add(start, b.i32(8 * tile)), group), first, last)));
    SmallVector<Value> result(4 * keyTiles(), b.constant(b.getF32Type(), 0));
    for (int64_t part = 0; part < parts(); ++part) {
      // Queries are read again for each chunk: registers are for o.
      SmallVector<Value> low = dimensions(addresses.q[0], part);
      SmallVector<Value> high = dimensions(addresses.q[1], part);
      for (auto [tile, row] : llvm::enumerate(rows)) {
        SmallVector<Value> k = dimensions(row, part);
        MutableArrayRef<Value> sum = MutableArrayRef(result).slice(4 * tile, 4);
        for (size_t word = 0; word < 4; word += 2)
          llvm::copy(multiply({low[word], high[word], low[word + 1], high[word + 1]},
                              ArrayRef(k).slice(word, 2), sum),
                     sum.begin());
      }
    }
    return result;
  }

  void setExponentials(ArrayRef<Value> exponentials) override {
    AttentionUnit::setExponentials(exponentials);
    large.clear();
    small.clear();
    Value zero = b.constant(b.getF32Type(), 0);
    for (size_t i = 0; i < exponentials.size(); i += 2) {
      std::array<Value, 2> pair;
      for (size_t j = 0; j < 2; ++j)
        pair[j] = b.max(exponentials[i + j], zero);
      auto [high, low] = op.element.isBF16() ? splitBf16(pair) : splitF16(pair);
      large.push_back(high);
      small.push_back(low);
    }
  }

  /// Tensor cores multiply a masked value by 0, which is not 0 if the value is
  /// not finite. Then all such values are left out, and added where they are not
  /// masked; sums without them keep their bits.
  SmallVector<Value> sums(Value start, Value first, Value last, Value column) override {
    SmallVector<Value> plain = products(start, first, last, column, /*isRepair=*/false);
    Value zero = b.constant(b.getF32Type(), 0), zeros = zero;
    for (Value sum : plain)
      zeros = b.multiplyAdd(sum, zero, zeros);
    Value isFinite = b.equal(b.ballot(b.equal(zeros, zero)), b.i32(-1));
    auto branch = scf::IfOp::create(b, ValueRange(plain).getTypes(), isFinite,
                                    /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    scf::YieldOp::create(b, plain);
    b.setInsertionPointToStart(branch.elseBlock());
    SmallVector<Value> finite = products(start, first, last, column, /*isRepair=*/true);
    scf::YieldOp::create(
        b, overKeys(start, first, last, column, finite, [&](Value p, Value value, Value sum) {
          Value isSeen = b.less(b.constant(b.getF32Type(), -0.5), p);
          Value isRight = b.equal(b.mul(value, zero), zero);
          Value repaired = b.select(isSeen, b.multiplyAdd(p, value, sum), sum);
          return b.select(isRight, sum, repaired);
        }));
    return llvm::to_vector_of<Value>(branch.getResults());
  }

private:
  /// `isRepair`: of the finite values alone.
  SmallVector<Value> products(Value start, Value first, Value last, Value column, bool isRepair) {
    constexpr size_t kTiles = 8;
    SmallVector<SmallVector<Value>> tiles(kTiles,
                                          SmallVector<Value>(4, b.constant(b.getF32Type(), 0)));
    // A column past the last is that of another, and not stored.
    Value at = b.add(column, b.mul(group, b.i32(8)));
    if (op.valueDepth % kValueColumns != 0)
      at = b.select(b.less(at, b.i32(op.valueDepth)), at, b.i32(0));
    Value bytes = b.mul(at, b.i32(2));
    for (int64_t step = 0; step < keyTiles() / 2; ++step) {
      std::array<SmallVector<Value>, 4> rows;
      for (auto [i, row] : llvm::enumerate(rows)) {
        Value key = b.add(b.mul(place, b.i32(2)), b.i32(16 * step + i % 2 + i / 2 * 8));
        Value pointer = valueAt(clamped(b.add(start, key), first, last));
        row = words(b.at(pointer, bytes));
        if (isRepair)
          for (Value &word : row)
            word = withoutInfinities(word);
      }
      for (size_t tile = 0; tile < kTiles; ++tile) {
        // Of each word the low or the high element, of two keys.
        std::array<Value, 2> values{pairOf(rows[0][tile / 2], rows[1][tile / 2], tile % 2),
                                    pairOf(rows[2][tile / 2], rows[3][tile / 2], tile % 2)};
        for (ArrayRef<Value> exponentials : {ArrayRef(large), ArrayRef(small)}) {
          ArrayRef<Value> a = exponentials.slice(4 * step, 4);
          tiles[tile] = multiply({a[0], a[1], a[2], a[3]}, values, tiles[tile]);
        }
      }
    }
    SmallVector<Value> result;
    for (size_t i = 0; i < 4; ++i)
      for (const SmallVector<Value> &tile : tiles)
        result.push_back(tile[i]);
    return result;
  }

  /// 32 dimensions of a row each.
  int64_t parts() const { return llvm::divideCeil(op.depth, 32); }

  SmallVector<Value> multiply(std::array<Value, 4> a, ArrayRef<Value> column, ArrayRef<Value> sum) {
    return llvm::to_vector_of<Value>(b.multiplyTile(op.element, a, column, sum));
  }

  SmallVector<Value> words(Value pointer) {
    Value loaded = b.load(VectorType::get(4, b.getI32Type()), pointer);
    SmallVector<Value> result;
    for (int64_t i = 0; i < 4; ++i)
      result.push_back(vector::ExtractOp::create(b, loaded, i));
    return result;
  }

  /// This lane's eight of 32 dimensions of a row, zeros past the last.
  SmallVector<Value> dimensions(Value row, int64_t part) {
    Value at = b.add(b.i32(32 * part), b.mul(place, b.i32(8)));
    bool isRagged = 32 * part + 32 > op.depth;
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

  /// Words of exponentials: fragments of the left operand of each 16 keys.
  SmallVector<Value> large, small;
};

//===----------------------------------------------------------------------===//
// Multiply-adds
//===----------------------------------------------------------------------===//

class MultiplyAddAttention : public AttentionUnit {
public:
  using AttentionUnit::AttentionUnit;

  SmallVector<Value> scores(Value start, Value first, Value last) override {
    SmallVector<Value> rows;
    for (int64_t tile = 0; tile < keyTiles(); ++tile)
      for (int64_t i = 0; i < 2; ++i) {
        Value key = b.add(b.mul(place, b.i32(2)), b.i32(8 * tile + i));
        rows.push_back(keyAt(clamped(b.add(start, key), first, last)));
      }
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

  SmallVector<Value> sums(Value start, Value first, Value last, Value column) override {
    SmallVector<Value> init(2 * kColumnsOfLane, b.constant(b.getF32Type(), 0));
    return overKeys(start, first, last, column, init, [&](Value p, Value value, Value sum) {
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

int64_t AttentionUnit::memoryBytes(const Attention &op) { return kRowsOfTile * pitchOf(op); }

Value AttentionUnit::exponentialAt(Value row, Value key) {
  return b.at(memory, b.add(b.mul(row, b.i32(pitchOf(op))), b.mul(key, b.i32(4))));
}

void AttentionUnit::synchronise() { NVVM::SyncWarpOp::create(b, b.i32(-1)); }

void AttentionUnit::setExponentials(ArrayRef<Value> exponentials) {
  // Those of the chunk before have been read.
  synchronise();
  for (size_t i = 0; i < exponentials.size(); i += 2) {
    Value row = b.add(group, b.i32(i % 4 * 4));
    Value key = b.add(b.mul(place, b.i32(2)), b.i32(i / 4 * 8));
    Value both = vector::FromElementsOp::create(b, VectorType::get(2, b.getF32Type()),
                                                exponentials.slice(i, 2));
    b.store(both, exponentialAt(row, key));
  }
  synchronise();
}

int64_t AttentionUnit::elementsTogether(int64_t width) const {
  return op.isAligned && width % 4 == 0 ? 4 : 1;
}

SmallVector<Value> AttentionUnit::floats(Value row, Value at, int64_t count) {
  return loadFloats(b, op.element, b.at(row, b.mul(at, b.i32(bytesOf(op.element)))), count);
}

SmallVector<Value> AttentionUnit::overKeys(Value start, Value first, Value last, Value column,
                                           ArrayRef<Value> init,
                                           function_ref<Value(Value, Value, Value)> update) {
  Value from = b.max(b.sub(first, start), b.i32(0));
  Value to = b.min(b.add(b.sub(last, start), b.i32(1)), b.i32(op.chunk));
  int64_t together = elementsTogether(op.valueDepth);
  SmallVector<Value> columns;
  for (int64_t i = 0; i < kColumnsOfLane; i += together) {
    Value at = b.add(b.add(column, b.i32(i)), b.mul(place, b.i32(kColumnsOfLane)));
    columns.push_back(b.select(b.less(at, b.i32(op.valueDepth)), at, b.i32(0)));
  }
  return b.forEach(from, to, 1, init, [&](Value key, MutableArrayRef<Value> sums) {
    Value row = valueAt(b.add(start, key));
    SmallVector<Value> values;
    for (Value at : columns)
      llvm::append_range(values, floats(row, at, together));
    for (int64_t i = 0; i < 2; ++i) {
      Value p = b.load(b.getF32Type(), exponentialAt(b.add(group, b.i32(8 * i)), key));
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
