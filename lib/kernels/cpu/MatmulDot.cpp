#include "lib/kernels/cpu/MatmulDot.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moec {
namespace {

/// With few rows the matrices come from memory, this far ahead of their use.
constexpr int64_t kPrefetchBytes = 8 << 10, kPrefetchRows = 4;
constexpr int64_t kLineBytes = 64;

/// A word of each lane of a panel's vectors, and what turns it into factors.
class DotEmitter {
public:
  DotEmitter(KernelBuilder &b, const Matmul &matmul, const Chip &chip,
             const MatmulOperands &operands, Value group, Value panel, const PanelVectors &vectors,
             ArrayRef<Value> sources)
      : b(b), matmul(matmul), layout(matmul.layout), chip(chip), operands(operands), group(group),
        panel(panel), vectors(vectors), sources(sources), lanes(b.lanes()), floats(b.vector()),
        integers(b.vectorOf(b.getI32Type())) {}
  virtual ~DotEmitter() = default;

  SmallVector<Value> emit() {
    SmallVector<Value> sums(tileSize(), b.constant(floats, 0));
    int64_t block = matmul.block(), whole = layout.k / block;
    if (whole == 1)
      emitBlock(b.index(0), block, sums);
    else
      loop(0, whole, 1, sums,
           [&](Value index, MutableArrayRef<Value> sums) { emitBlock(index, block, sums); });
    if (int64_t rest = layout.k % block)
      emitBlock(b.index(whole), rest, sums);
    return sums;
  }

protected:
  /// Adds the products of the first `columns` columns of a block.
  virtual void emitBlock(Value block, int64_t columns, MutableArrayRef<Value> sums) = 0;

  size_t tileSize() const { return sources.size() * vectors.offsets.size(); }
  Value &at(MutableArrayRef<Value> tile, size_t row, size_t vector) const {
    return tile[row * vectors.offsets.size() + vector];
  }

  using Body = function_ref<void(Value, MutableArrayRef<Value>)>;
  /// Runs `body` for [from, to), which updates the tile.
  void loop(int64_t from, int64_t to, int64_t step, MutableArrayRef<Value> tile, Body body) {
    if (from == to)
      return;
    auto op = scf::ForOp::create(b, b.index(from), b.index(to), b.index(step), tile);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(op.getBody());
      auto state = llvm::to_vector_of<Value>(op.getRegionIterArgs());
      body(op.getInductionVar(), state);
      scf::YieldOp::create(b, state);
    }
    llvm::copy(op.getResults(), tile.begin());
  }

  /// Calls `body` with each word of a block's first `columns` columns, the
  /// column that it starts with, and how many columns of it count.
  void overWords(Value block, int64_t columns, MutableArrayRef<Value> tile,
                 function_ref<void(Value, Value, int64_t, MutableArrayRef<Value>)> body) {
    int64_t together = layout.together, whole = columns / together;
    Value first = b.mul(block, b.index(matmul.block() / together));
    auto word = [&](Value index, int64_t count, MutableArrayRef<Value> tile) {
      Value number = b.add(first, index);
      body(number, b.mul(number, b.index(together)), count, tile);
    };
    // Words of one column are short work: two at a time.
    int64_t unroll = together == 1 ? 2 : 1, end = whole - whole % unroll;
    loop(0, end, unroll, tile, [&](Value index, MutableArrayRef<Value> tile) {
      for (int64_t i = 0; i < unroll; ++i)
        word(b.add(index, b.index(i)), together, tile);
    });
    for (int64_t i = end; i < whole; ++i)
      word(b.index(i), together, tile);
    if (columns % together)
      word(b.index(whole), columns % together, tile);
  }

  /// A word of each lane of a vector.
  Value loadWord(Value word, int64_t vector) {
    int64_t perLane = layout.together * bitsOf(layout.element) / layout.storageBits();
    auto type = cast<MemRefType>(operands.weights.getType());
    auto stored = VectorType::get(lanes * perLane, type.getElementType());
    Value offset = b.index(vectors.offsets[vector] * perLane);
    Value value =
        vector::LoadOp::create(b, stored, operands.weights, ValueRange{group, panel, word, offset});
    return layout.element == WeightType::f32 ? value : bitcast(value, integers);
  }

  /// Addresses past the end are of the next panel, or of no effect.
  void prefetch(Value word) {
    if (static_cast<int64_t>(sources.size()) > kPrefetchRows)
      return;
    Value ahead = b.add(word, b.index(std::max<int64_t>(1, kPrefetchBytes / layout.wordBytes())));
    int64_t perLane = layout.together * bitsOf(layout.element) / layout.storageBits();
    int64_t lineLanes = kLineBytes * 8 / (layout.together * bitsOf(layout.element));
    for (int64_t offset : vectors.offsets)
      if (offset % lineLanes == 0)
        memref::PrefetchOp::create(b, operands.weights,
                                   ValueRange{group, panel, ahead, b.index(offset * perLane)},
                                   /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
  }

  /// What belongs to a block of each lane of a vector, widened: floats to
  /// `floats`, bytes to `integers`.
  Value loadPerBlock(Value table, Value block, int64_t vector) {
    auto stored = VectorType::get(lanes, cast<MemRefType>(table.getType()).getElementType());
    Value at = layout.blocks() > 1 ? block : b.index(0);
    Value value = vector::LoadOp::create(
        b, stored, table, ValueRange{group, panel, at, b.index(vectors.offsets[vector])});
    if (stored.getElementType().isF32())
      return value;
    if (stored.getElementType().isInteger(8))
      return arith::ExtUIOp::create(b, integers, value);
    if (stored.getElementType().isF16())
      return widenHalf(
          arith::ExtUIOp::create(b, integers, bitcast(value, stored.clone(b.getI16Type()))));
    return bitcast(
        shiftLeft(arith::ExtUIOp::create(b, integers, bitcast(value, stored.clone(b.getI16Type()))),
                  16),
        floats);
  }

  /// Halves in the low bits of `word`, whose high bits are 0, as f32.
  Value widenHalf(Value word) {
    if (chip.f16c) {
      auto narrow = VectorType::get(lanes, b.getI16Type());
      Value half = arith::TruncIOp::create(b, narrow, word);
      return arith::ExtFOp::create(b, floats, bitcast(half, narrow.clone(b.getF16Type())));
    }
    // Scaling by a power of two makes subnormal halves normal, exactly.
    Value magnitude = shiftLeft(mask(word, 0x7fff), 13);
    Value scaled = b.mul(bitcast(magnitude, floats), b.constant(floats, 0x1p112));
    Value isFinite = b.less(magnitude, b.constant(integers, 0x7c00 << 13));
    Value exponent = b.select(isFinite, b.constant(integers, 0), b.constant(integers, 0x7f800000));
    Value sign = shiftLeft(mask(word, 0x8000), 16);
    Value bits = arith::OrIOp::create(b, bitcast(scaled, integers), exponent);
    return bitcast(arith::OrIOp::create(b, bits, sign), floats);
  }

  Value bitcast(Value value, Type type) {
    return isa<VectorType>(type) ? vector::BitCastOp::create(b, cast<VectorType>(type), value)
                                 : arith::BitcastOp::create(b, type, value).getResult();
  }
  Value splat(int64_t value) {
    auto bits = static_cast<int32_t>(static_cast<uint32_t>(value));
    return arith::ConstantOp::create(b, DenseElementsAttr::get(integers, bits));
  }
  Value mask(Value word, int64_t bits) { return arith::AndIOp::create(b, word, splat(bits)); }
  Value shiftLeft(Value word, int64_t bits) { return arith::ShLIOp::create(b, word, splat(bits)); }
  Value shiftRight(Value word, int64_t bits) {
    return bits ? arith::ShRUIOp::create(b, word, splat(bits)).getResult() : word;
  }
  /// The 32 bits of x that start at a column, in every lane.
  Value broadcastWord(Value source, Value column, int64_t columns) {
    auto type = VectorType::get(columns, cast<MemRefType>(operands.x.getType()).getElementType());
    Value part = vector::LoadOp::create(b, type, operands.x, ValueRange{source, column});
    Value word = bitcast(part, VectorType::get(1, b.getI32Type()));
    return vector::BroadcastOp::create(b, integers, word);
  }

  KernelBuilder &b;
  const Matmul &matmul;
  const PackedLayout &layout;
  const Chip &chip;
  const MatmulOperands &operands;
  Value group, panel;
  const PanelVectors &vectors;
  ArrayRef<Value> sources;
  int64_t lanes;
  VectorType floats, integers;
};

/// Rows::f32.
class FloatDots : public DotEmitter {
public:
  using DotEmitter::DotEmitter;

  void emitBlock(Value block, int64_t columns, MutableArrayRef<Value> sums) override {
    loadScales(block);
    overWords(block, columns, sums,
              [&](Value word, Value column, int64_t count, MutableArrayRef<Value> sums) {
                prefetch(word);
                SmallVector<Value> words;
                for (size_t vector = 0; vector < vectors.offsets.size(); ++vector)
                  words.push_back(loadWord(word, vector));
                for (int64_t place = 0; place < count; ++place)
                  addColumn(words, b.add(column, b.index(place)), place, sums);
              });
  }

private:
  void loadScales(Value block) {
    scales.clear();
    zeros.clear();
    if (!isInteger(layout.element))
      return;
    for (size_t vector = 0; vector < vectors.offsets.size(); ++vector) {
      scales.push_back(loadPerBlock(operands.scales, block, vector));
      if (!operands.zeros)
        continue;
      Value zero = loadPerBlock(operands.zeros, block, vector);
      if (zero.getType() == integers)
        zero = arith::SIToFPOp::create(b, floats, zero);
      zeros.push_back(zero);
    }
  }

  /// Adds the products of one column, which is at a place of each word.
  void addColumn(ArrayRef<Value> words, Value column, int64_t place, MutableArrayRef<Value> sums) {
    SmallVector<Value> weights;
    for (auto [vector, word] : llvm::enumerate(words))
      weights.push_back(widen(word, place, vector));
    for (auto [row, source] : llvm::enumerate(sources)) {
      Value element = memref::LoadOp::create(b, operands.x, ValueRange{source, column});
      Value factor = b.broadcast(element);
      for (auto [vector, weight] : llvm::enumerate(weights)) {
        Value &sum = at(sums, row, vector);
        sum = b.multiplyAdd(factor, weight, sum);
      }
    }
  }

  Value widen(Value word, int64_t place, size_t vector) {
    int64_t bits = bitsOf(layout.element);
    switch (layout.element) {
    case WeightType::f32:
      return word;
    case WeightType::bf16:
      return bitcast(place ? mask(word, 0xffff0000) : shiftLeft(word, 16), floats);
    case WeightType::f16:
      return widenHalf(place ? shiftRight(word, 16) : mask(word, 0xffff));
    case WeightType::int8:
    case WeightType::int4:
    case WeightType::int2:
      Value q = shiftRight(word, place % 4 * 8 + place / 4 * bits);
      Value difference = zeros.empty() ? fromInteger(q, defaultZero(layout.element))
                                       : b.sub(fromInteger(q, 0), zeros[vector]);
      return b.mul(difference, scales[vector]);
    }
    llvm_unreachable("a type without a case");
  }

  /// The integer in the low bits of each lane, less `zero`.
  Value fromInteger(Value word, int64_t zero) {
    int64_t values = int64_t(1) << bitsOf(layout.element);
    if (values > lanes || chip.vectorBits != 512) {
      Value q = arith::SIToFPOp::create(b, floats, mask(word, values - 1));
      return zero ? b.sub(q, b.constant(floats, static_cast<double>(zero))) : q;
    }
    // A register holds all differences; the low bits of a lane choose one.
    SmallVector<float> table;
    for (int64_t i = 0; i < lanes; ++i)
      table.push_back(static_cast<float>(i % values - zero));
    Value all = arith::ConstantOp::create(b, DenseElementsAttr::get(floats, ArrayRef(table)));
    return LLVM::CallIntrinsicOp::create(
               b, floats, b.getStringAttr("llvm.x86.avx512.permvar.sf.512"), ValueRange{all, word})
        .getResult(0);
  }

  SmallVector<Value> scales, zeros;
};

/// Rows::bf16.
class PairDots : public DotEmitter {
public:
  using DotEmitter::DotEmitter;

  void emitBlock(Value block, int64_t columns, MutableArrayRef<Value> sums) override {
    auto pairs = VectorType::get(2 * lanes, b.getBF16Type());
    overWords(block, columns, sums,
              [&](Value word, Value column, int64_t count, MutableArrayRef<Value> sums) {
                prefetch(word);
                SmallVector<Value> weights;
                for (size_t vector = 0; vector < vectors.offsets.size(); ++vector)
                  weights.push_back(bitcast(loadWord(word, vector), pairs));
                for (auto [row, source] : llvm::enumerate(sources)) {
                  Value x = count == 2 ? broadcastWord(source, column, 2) : lastColumn(source);
                  x = bitcast(x, pairs);
                  for (auto [vector, weight] : llvm::enumerate(weights)) {
                    Value &sum = at(sums, row, vector);
                    sum = LLVM::CallIntrinsicOp::create(
                              b, floats, b.getStringAttr("llvm.x86.avx512bf16.dpbf16ps.512"),
                              ValueRange{sum, x, weight})
                              .getResult(0);
                  }
                }
              });
  }

private:
  /// The last column of an odd number, and 0.
  Value lastColumn(Value source) {
    Value element =
        memref::LoadOp::create(b, operands.x, ValueRange{source, b.index(layout.k - 1)});
    Value bits = arith::BitcastOp::create(b, b.getI16Type(), element);
    return b.broadcast(arith::ExtUIOp::create(b, b.getI32Type(), bits));
  }
};

/// Rows::int8. Sums of (q - zero) * x start at -zero * (the sum of x).
class IntegerDots : public DotEmitter {
public:
  using DotEmitter::DotEmitter;

  void emitBlock(Value block, int64_t columns, MutableArrayRef<Value> sums) override {
    SmallVector<Value> exact = start(block);
    overWords(block, columns, exact,
              [&](Value word, Value column, int64_t, MutableArrayRef<Value> exact) {
                prefetch(word);
                addWord(word, column, exact);
              });
    SmallVector<Value> scales;
    for (size_t vector = 0; vector < vectors.offsets.size(); ++vector)
      scales.push_back(loadPerBlock(operands.scales, block, vector));
    for (auto [row, source] : llvm::enumerate(sources)) {
      Value scale = memref::LoadOp::create(b, operands.xScales, ValueRange{source, block});
      Value factor = b.broadcast(scale);
      for (auto [vector, other] : llvm::enumerate(scales)) {
        Value &sum = at(sums, row, vector);
        Value product = arith::SIToFPOp::create(b, floats, at(exact, row, vector));
        sum = b.multiplyAdd(product, b.mul(factor, other), sum);
      }
    }
  }

private:
  SmallVector<Value> start(Value block) {
    SmallVector<Value> exact, zeros;
    for (size_t vector = 0; vector < vectors.offsets.size() && operands.zeros; ++vector)
      zeros.push_back(b.sub(b.constant(integers, 0), loadPerBlock(operands.zeros, block, vector)));
    for (Value source : sources) {
      Value sum = memref::LoadOp::create(b, operands.xSums, ValueRange{source, block});
      if (!operands.zeros)
        sum = b.mul(sum, b.constant(b.getI32Type(), -defaultZero(layout.element)));
      sum = b.broadcast(sum);
      for (size_t vector = 0; vector < vectors.offsets.size(); ++vector)
        exact.push_back(operands.zeros ? b.mul(sum, zeros[vector]) : sum);
    }
    return exact;
  }

  /// Adds the products of a word: of four columns at a time.
  void addWord(Value word, Value column, MutableArrayRef<Value> exact) {
    int64_t bits = bitsOf(layout.element);
    SmallVector<Value> words;
    for (size_t vector = 0; vector < vectors.offsets.size(); ++vector)
      words.push_back(loadWord(word, vector));
    for (int64_t part = 0; part < 8 / bits; ++part) {
      SmallVector<Value> quads;
      for (Value all : words)
        quads.push_back(
            bits == 8 ? all : mask(shiftRight(all, part * bits), 0x01010101 * ((1 << bits) - 1)));
      Value first = b.add(column, b.index(4 * part));
      for (auto [row, source] : llvm::enumerate(sources)) {
        SmallVector<Value> x = chip.avx512vnni ? SmallVector<Value>{broadcastWord(source, first, 4)}
                                               : fourColumns(source, first);
        for (auto [vector, quad] : llvm::enumerate(quads)) {
          Value &sum = at(exact, row, vector);
          sum = multiplyAddQuad(quad, x, sum);
        }
      }
    }
  }

  /// Four columns of x, each in every lane.
  SmallVector<Value> fourColumns(Value source, Value first) {
    SmallVector<Value> columns;
    for (int64_t i = 0; i < 4; ++i) {
      Value at = b.add(first, b.index(i));
      Value byte = memref::LoadOp::create(b, operands.x, ValueRange{source, at});
      columns.push_back(b.broadcast(arith::ExtSIOp::create(b, b.getI32Type(), byte)));
    }
    return columns;
  }

  /// Adds the products of four unsigned bytes of each lane by four of x.
  Value multiplyAddQuad(Value quad, ArrayRef<Value> x, Value sum) {
    if (chip.avx512vnni) {
      auto bytes = VectorType::get(4 * lanes, b.getI8Type());
      return LLVM::CallIntrinsicOp::create(
                 b, integers, b.getStringAttr("llvm.x86.avx512.vpdpbusd.512"),
                 ValueRange{sum, bitcast(quad, bytes), bitcast(x[0], bytes)})
          .getResult(0);
    }
    for (auto [i, column] : llvm::enumerate(x))
      sum = b.add(sum, b.mul(mask(shiftRight(quad, 8 * i), 0xff), column));
    return sum;
  }
};

} // namespace

SmallVector<Value> emitDots(KernelBuilder &b, const Matmul &matmul, const Chip &chip,
                            const MatmulOperands &operands, Value group, Value panel,
                            const PanelVectors &vectors, ArrayRef<Value> sources) {
  switch (matmul.x) {
  case Rows::f32:
    return FloatDots(b, matmul, chip, operands, group, panel, vectors, sources).emit();
  case Rows::bf16:
    return PairDots(b, matmul, chip, operands, group, panel, vectors, sources).emit();
  case Rows::int8:
    return IntegerDots(b, matmul, chip, operands, group, panel, vectors, sources).emit();
  }
  llvm_unreachable("rows without a case");
}

} // namespace moec
