#include "lib/kernels/cuda/MatmulUnit.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moec::cuda {
namespace {

/// Elements of an i32 vector, or the i32 itself.
SmallVector<Value> wordsOf(BlockBuilder &b, Value value) {
  auto type = dyn_cast<VectorType>(value.getType());
  if (!type)
    return {value};
  SmallVector<Value> words;
  for (int64_t i = 0; i < type.getNumElements(); ++i)
    words.push_back(vector::ExtractOp::create(b, value, i));
  return words;
}

/// So many bytes as i32s.
SmallVector<Value> loadWords(BlockBuilder &b, Value pointer, int64_t bytes) {
  Type i32 = b.getI32Type();
  return wordsOf(b, b.load(bytes == 4 ? i32 : VectorType::get(bytes / 4, i32), pointer));
}

/// The bytes of 8 integers, two in each i32: a byte in each 16 bits, ascending.
SmallVector<Value> integerPairs(BlockBuilder &b, ArrayRef<Value> packed, WeightType type) {
  constexpr uint32_t kLowBytes = 0x4140, kHighBytes = 0x4342;
  SmallVector<Value> pairs;
  for (Value word : packed)
    for (uint32_t selector : {kLowBytes, kHighBytes})
      pairs.push_back(b.permuteBytes(word, selector));
  if (type == WeightType::int8)
    return pairs;
  // The low digits of four bytes are the first four columns, the high ones the
  // others.
  for (size_t i = 0; i < 2; ++i)
    pairs.push_back(arith::ShRUIOp::create(b, pairs[i], b.i32(4)));
  for (Value &pair : pairs)
    pair = b.masked(pair, 0x000f000f);
  return pairs;
}

/// Multiplies by mma.m16n8k16: the thread with t = lane % 4 and g = lane / 4
/// has the sums of rows g and g + 8 for tokens 2t and 2t + 1 of each 8.
class TensorCoreUnit : public MatmulUnit {
public:
  TensorCoreUnit(BlockBuilder &b, const Matmul &matmul, const MatmulStage &stage)
      : MatmulUnit(b, matmul, stage) {
    Value lane = b.lane();
    Value group = b.divided(lane, 4), place = b.remainder(lane, 4);
    for (int64_t row = 0; row < matmul.tile.rows; row += 8)
      rows_.push_back(b.add(group, b.i32(row)));
    for (int64_t token = 0; token < matmul.tile.tokens; token += 8)
      for (int64_t i = 0; i < 2; ++i)
        tokens_.push_back(b.add(b.mul(place, b.i32(2)), b.i32(token + i)));
    firstRow = b.mul(b.warp(), b.i32(matmul.tile.rows));
  }

  void multiply(Value base, int64_t from, int64_t to, ArrayRef<Value> zeros,
                MutableArrayRef<Value> sums) override {
    for (int64_t word = from; word < to; word += kWordsTogether) {
      SmallVector<Fragment> rows;
      for (size_t tile = 0; tile < rows_.size(); ++tile)
        llvm::append_range(rows, rowFragments(base, word, tile, zeros));
      for (int64_t token = 0; token < matmul.tile.tokens; token += 8) {
        Fragment columns = tokenFragment(base, word, token);
        for (size_t tile = 0; tile < rows_.size(); ++tile)
          for (size_t step = 0; step < kSteps; ++step)
            multiplyTile(rows[tile * kSteps + step], ArrayRef(columns).slice(2 * step, 2), tile,
                         token / 8, sums);
      }
    }
  }

protected:
  /// Words that are multiplied together, in so many instructions.
  static constexpr int64_t kWordsTogether = 4;
  static constexpr size_t kSteps = 2;
  using Fragment = std::array<Value, 4>;

  /// The 16 rows of a tile by the columns of each step.
  virtual std::array<Fragment, kSteps> rowFragments(Value base, int64_t word, size_t tile,
                                                    ArrayRef<Value> zeros) = 0;
  /// 8 tokens by the columns of all steps.
  virtual Fragment tokenFragment(Value base, int64_t word, int64_t token) = 0;

  /// Where 8 rows of a tile are: the half and which 8 rows of the warp's there.
  /// A tile is 16 rows of a half, or, where a warp has no more, 8 of each.
  struct Place {
    size_t half, eight;
  };
  Place placeOf(size_t tile, size_t i) const {
    return rows_.size() == 2 ? Place{tile, i} : Place{i, 0};
  }

  /// The warp's first row.
  Value firstRow;

private:
  void multiplyTile(const Fragment &rows, ArrayRef<Value> columns, size_t tile, size_t tokens,
                    MutableArrayRef<Value> sums) {
    std::array<size_t, 4> at;
    Fragment sum;
    for (size_t i = 0; i < 4; ++i) {
      auto [half, eight] = placeOf(tile, i / 2);
      at[i] = sumIndex(half, eight, 2 * tokens + i % 2);
      sum[i] = sums[at[i]];
    }
    sum = b.multiplyTile(matmul.x, rows, columns, sum);
    for (size_t i = 0; i < 4; ++i)
      sums[at[i]] = sum[i];
  }
};

/// Floats, 16 columns after the other, as the products of sm_90a's warpgroups
/// have them.
class FloatUnit : public TensorCoreUnit {
public:
  FloatUnit(BlockBuilder &b, const Matmul &matmul, const MatmulStage &stage)
      : TensorCoreUnit(b, matmul, stage) {
    // Each lane addresses a row of 8 columns; eight of them are a matrix.
    Value lane = b.lane(), row = b.remainder(lane, 8), matrix = b.divided(lane, 8);
    auto [half, eight] = placeOf(0, 1);
    Value second = b.mul(b.remainder(matrix, 2), b.i32(wordAt(0, half, 8 * eight)));
    matrixBase = b.add(b.add(b.mul(b.divided(matrix, 2), b.i32(stage.wordPitch)), second),
                       b.mul(b.add(firstRow, row), b.i32(stage.wordBytes)));
    tokenBase = b.add(b.mul(matrix, b.i32(stage.chunkPitch)), b.mul(row, b.i32(16)));
  }

protected:
  std::array<Fragment, kSteps> rowFragments(Value base, int64_t word, size_t tile,
                                            ArrayRef<Value>) override {
    Value matrix = b.at(base, matrixBase);
    return {b.loadMatrices(b.at(matrix, wordAt(word, tile, 0))),
            b.loadMatrices(b.at(matrix, wordAt(word + 2, tile, 0)))};
  }

  Fragment tokenFragment(Value base, int64_t word, int64_t token) override {
    return b.loadMatrices(b.at(b.at(base, tokenBase), chunkAt(word, token)));
  }

private:
  /// Of what this lane addresses first in a stage, in bytes.
  Value matrixBase, tokenBase;
};

/// Integers less their zero point. Of four words a thread reads one, word t,
/// whose columns are those of t in both steps: the order of columns is free as
/// long as both operands have it.
class IntegerUnit : public TensorCoreUnit {
public:
  IntegerUnit(BlockBuilder &b, const Matmul &matmul, const MatmulStage &stage)
      : TensorCoreUnit(b, matmul, stage) {
    Value lane = b.lane(), group = b.divided(lane, 4), place = b.remainder(lane, 4);
    matrixBase = b.add(b.mul(place, b.i32(stage.wordPitch)),
                       b.mul(b.add(firstRow, group), b.i32(stage.wordBytes)));
    tokenBase = b.add(b.mul(place, b.i32(stage.chunkPitch)), b.mul(group, b.i32(16)));
  }

protected:
  std::array<Fragment, kSteps> rowFragments(Value base, int64_t word, size_t tile,
                                            ArrayRef<Value> zeros) override {
    Value matrix = b.at(base, matrixBase);
    std::array<SmallVector<Value>, 2> rows;
    for (size_t i = 0; i < 2; ++i) {
      auto [half, eight] = placeOf(tile, i);
      Value pointer = b.at(matrix, wordAt(word, half, 8 * eight));
      rows[i] = columns(loadWords(b, pointer, stage.wordBytes),
                        zeros.empty() ? Value() : zeros[half * rows_.size() + eight]);
    }
    return {Fragment{rows[0][0], rows[1][0], rows[0][1], rows[1][1]},
            Fragment{rows[0][2], rows[1][2], rows[0][3], rows[1][3]}};
  }

  Fragment tokenFragment(Value base, int64_t word, int64_t token) override {
    SmallVector<Value> words = loadWords(b, b.at(b.at(base, tokenBase), chunkAt(word, token)), 16);
    return {words[0], words[1], words[2], words[3]};
  }

private:
  /// 8 columns of a row as 4 words of x's type, exactly.
  SmallVector<Value> columns(ArrayRef<Value> packed, Value zero) {
    WeightType type = matmul.layout.element;
    SmallVector<Value> words = integerPairs(b, packed, type);
    for (Value &word : words)
      word = type == WeightType::int8 && matmul.x.isBF16() ? bf16OfBytes(word, zero)
                                                           : ofDigits(word, zero);
    return words;
  }

  /// Integers of fewer bits than a float has digits are the last of these: with
  /// the exponent of 2^digits before them they are 2^digits + q.
  Value ofDigits(Value pair, Value zero) {
    uint32_t one = matmul.x.isBF16() ? 0x43004300 : 0x64006400;
    constexpr uint32_t kSigns = 0x80008000;
    Value floats = b.masked(pair, 0xffffffff, one);
    Value offset;
    if (zero) {
      Value both = b.mul(zero, b.i32(0x00010001));
      offset = b.masked(both, 0xffffffff, one | kSigns);
    } else {
      uint32_t standard = defaultZero(matmul.layout.element);
      offset = b.i32((standard << 16 | standard) | one | kSigns);
    }
    return sum(floats, offset);
  }

  /// A byte has a bit more than that: the digits give its low seven bits, and
  /// what is subtracted depends on the eighth. 128 + low - (high ? 128 : 256) is
  /// q - 128, which becomes q - zero.
  Value bf16OfBytes(Value pair, Value zero) {
    constexpr uint32_t k128 = 0x43004300, kMinus128 = 0xc300c300, kHigh = 0x00800080;
    Value low = b.masked(pair, 0x007f007f, k128);
    Value isLow = arith::XOrIOp::create(b, pair, b.i32(kHigh));
    Value result = sum(low, b.masked(isLow, kHigh, kMinus128));
    if (!zero)
      return result;
    Value rest = b.convert(b.sub(b.i32(128), zero), b.getF32Type());
    Value both = vector::BroadcastOp::create(b, pairType(), b.convert(rest, matmul.x));
    return sum(result, b.bitcast(both, b.getI32Type()));
  }

  VectorType pairType() const { return VectorType::get(2, matmul.x); }

  /// Of two elements in each word. Every chip has fused multiply-adds for these.
  Value sum(Value lhs, Value rhs) {
    Value one = LLVM::ConstantOp::create(
        b, pairType(), DenseElementsAttr::get(pairType(), b.getFloatAttr(matmul.x, 1.0)));
    Value result = LLVM::FMAOp::create(b, pairType(), b.bitcast(lhs, pairType()), one,
                                       b.bitcast(rhs, pairType()));
    return b.bitcast(result, b.getI32Type());
  }

  /// Of the thread's first row and token in a stage, in bytes.
  Value matrixBase, tokenBase;
};

/// Multiplies in f32: the thread with t = lane % 8 and g = lane / 8 has the sums
/// of rows g, g + 4, ... for tokens t, t + 8, ...
class MultiplyAddUnit : public MatmulUnit {
public:
  MultiplyAddUnit(BlockBuilder &b, const Matmul &matmul, const MatmulStage &stage)
      : MatmulUnit(b, matmul, stage) {
    Value lane = b.lane();
    Value group = b.divided(lane, 8), place = b.remainder(lane, 8);
    for (int64_t row = 0; row < matmul.tile.rows; row += kRowStep)
      rows_.push_back(b.add(group, b.i32(row)));
    for (int64_t token = 0; token < matmul.tile.tokens; token += 8)
      tokens_.push_back(b.add(place, b.i32(token)));
    Value row = b.add(b.mul(b.warp(), b.i32(matmul.tile.rows)), group);
    matrixBase = b.mul(row, b.i32(stage.wordBytes));
    tokenBase = b.mul(place, b.i32(16));
  }

  void multiply(Value base, int64_t from, int64_t to, ArrayRef<Value> zeros,
                MutableArrayRef<Value> sums) override {
    SmallVector<Value> result =
        b.forEach(b.i32(from), b.i32(to), 1, sums, [&](Value word, MutableArrayRef<Value> sums) {
          Value matrix = b.at(base, b.add(matrixBase, b.mul(word, b.i32(stage.wordPitch))));
          int64_t chunks = stage.tokenChunks / stage.words;
          Value tokens =
              b.at(base, b.add(tokenBase, b.mul(word, b.i32(chunks * stage.chunkPitch))));
          multiplyWord(matrix, tokens, zeros, sums);
        });
    llvm::copy(result, sums.begin());
  }

private:
  static constexpr int64_t kRowStep = 4;

  void multiplyWord(Value matrix, Value tokens, ArrayRef<Value> zeros,
                    MutableArrayRef<Value> sums) {
    SmallVector<SmallVector<Value>> rows, columns;
    for (size_t half = 0; half < 2; ++half)
      for (size_t row = 0; row < rows_.size(); ++row)
        rows.push_back(floats(b.at(matrix, wordAt(0, half, kRowStep * row)),
                              zeros.empty() ? Value() : zeros[half * rows_.size() + row]));
    for (size_t token = 0; token < tokens_.size(); ++token) {
      auto &column = columns.emplace_back();
      for (int64_t chunk = 0; chunk < stage.tokenChunks / stage.words; ++chunk)
        llvm::append_range(column,
                           loadFloats(b.at(tokens, chunkAt(chunk, 8 * token)), 4, b.getF32Type()));
    }
    for (int64_t k = 0; k < stage.wordColumns; ++k)
      for (auto [row, values] : llvm::enumerate(rows))
        for (auto [token, column] : llvm::enumerate(columns)) {
          Value &sum = sums[row * columns.size() + token];
          sum = b.multiplyAdd(values[k], column[k], sum);
        }
  }

  /// Elements in f32.
  SmallVector<Value> loadFloats(Value pointer, int64_t count, Type element) {
    Value loaded = b.load(VectorType::get(count, element), pointer);
    SmallVector<Value> values;
    for (int64_t i = 0; i < count; ++i)
      values.push_back(b.convert(vector::ExtractOp::create(b, loaded, i), b.getF32Type()));
    return values;
  }

  /// A word of a row; integers less their zero point, exactly.
  SmallVector<Value> floats(Value pointer, Value zero) {
    switch (matmul.layout.element) {
    case WeightType::f32:
      return loadFloats(pointer, stage.wordColumns, b.getF32Type());
    case WeightType::f16:
      return loadFloats(pointer, stage.wordColumns, b.getF16Type());
    case WeightType::bf16:
      return loadFloats(pointer, stage.wordColumns, b.getBF16Type());
    default:
      break;
    }
    // 2^23 has as many digits behind it as integers have bits, and more.
    constexpr uint32_t kTwoTo23 = 0x4b000000, kSign = 0x80000000;
    WeightType type = matmul.layout.element;
    Value offset = zero ? b.masked(zero, 0xffffffff, kTwoTo23 | kSign)
                        : b.i32(kTwoTo23 | kSign | defaultZero(type));
    offset = b.bitcast(offset, b.getF32Type());
    SmallVector<Value> values;
    for (Value pair : integerPairs(b, loadWords(b, pointer, stage.wordBytes), type))
      for (Value bits : {b.masked(pair, 0xffff, kTwoTo23),
                         b.masked(arith::ShRUIOp::create(b, pair, b.i32(16)), 0xffff, kTwoTo23)})
        values.push_back(b.add(b.bitcast(bits, b.getF32Type()), offset));
    return values;
  }

  Value matrixBase, tokenBase;
};

} // namespace

MatmulStage::MatmulStage(const Matmul &matmul) {
  // So far apart that four chunks of two rows, or of one, fill all banks.
  constexpr int64_t kPadding = 32;
  const PackedLayout &layout = matmul.layout;
  wordColumns = layout.together;
  wordBytes = wordColumns * bitsOf(layout.element) / 8;
  int64_t tokenColumns = 128 / matmul.x.getIntOrFloatBitWidth();
  tokenChunks = columns() / tokenColumns;
  rows = 2 * matmul.tile.rowsOfHalf();
  wordPitch = rows * wordBytes + kPadding;
  chunkPitch = matmul.tile.tokens * 16 + kPadding;
  if (!isInteger(layout.element))
    return;
  scaledBlocks = layout.block ? llvm::divideCeil(columns(), layout.block) : 1;
  scaleBytes = bitsOf(matmul.scales) / 8;
  zeroBytes = matmul.hasZeros ? 1 : 0;
}

std::unique_ptr<MatmulUnit> createMatmulUnit(BlockBuilder &b, const Matmul &matmul,
                                             const MatmulStage &stage) {
  if (matmul.x.isF32())
    return std::make_unique<MultiplyAddUnit>(b, matmul, stage);
  if (isInteger(matmul.layout.element))
    return std::make_unique<IntegerUnit>(b, matmul, stage);
  return std::make_unique<FloatUnit>(b, matmul, stage);
}

} // namespace moec::cuda
