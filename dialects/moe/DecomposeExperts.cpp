//===- DecomposeExperts.cpp - what experts compute ------------------------===//
#include "dialects/moe/Activation.h"
#include "dialects/moe/GatherRows.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace moec::moe {
namespace {

Type elementOf(Value tensor) { return cast<RankedTensorType>(tensor.getType()).getElementType(); }

//===----------------------------------------------------------------------===//
// Elements of expert matrices
//===----------------------------------------------------------------------===//

/// Element `index` of integers packed in bytes, as i32.
Value unpack(TensorBuilder &b, Value tensor, SmallVector<Value> at, int64_t bits) {
  Value index = at.back(), perByte = b.index(8 / bits);
  at.back() = arith::DivUIOp::create(b, index, perByte);
  Value byte = arith::ExtUIOp::create(b, b.getI32Type(), b.extract(tensor, at));
  Value place = b.convert(arith::RemUIOp::create(b, index, perByte), b.getI32Type());
  Value shift = b.mul(place, b.constant(b.getI32Type(), bits));
  return b.both(arith::ShRUIOp::create(b, byte, shift),
                b.constant(b.getI32Type(), (1 << bits) - 1));
}

/// The zero point of a block of a row, in f32.
Value zeroPoint(TensorBuilder &b, const Matrix &matrix, QuantAttr quant, Value expert, Value row,
                Value block) {
  Type f32 = b.getF32Type();
  if (!matrix.zeroPoints)
    return b.constant(f32, 1 << (quant.getBits() - 1));
  if (isa<FloatType>(elementOf(matrix.zeroPoints)))
    return b.convert(b.extract(matrix.zeroPoints, {expert, row, block}), f32);
  bool isByRow = cast<RankedTensorType>(matrix.zeroPoints.getType()).getRank() == 2;
  SmallVector<Value> at{expert, row};
  if (!isByRow)
    at.push_back(block);
  return b.convert(unpack(b, matrix.zeroPoints, at, quant.getBits()), f32);
}

/// The weight at the given place, in f32.
Value weight(TensorBuilder &b, const Matrix &matrix, QuantAttr quant, Value expert, Value row,
             Value column) {
  Type f32 = b.getF32Type();
  if (!quant)
    return b.convert(b.extract(matrix.weights, {expert, row, column}), f32);
  Value q = b.convert(unpack(b, matrix.weights, {expert, row, column}, quant.getBits()), f32);
  Value block = b.index(0);
  if (quant.getBlock())
    block = arith::DivUIOp::create(b, column, b.index(quant.getBlock()));
  Value scale = b.convert(b.extract(matrix.scales, {expert, row, block}), f32);
  return b.mul(b.sub(q, zeroPoint(b, matrix, quant, expert, row, block)), scale);
}

/// x plus the bias of a row.
Value biased(TensorBuilder &b, Value x, const Matrix &matrix, Value expert, Value row) {
  if (!matrix.bias)
    return x;
  return b.add(x, b.convert(b.extract(matrix.bias, {expert, row}), b.getF32Type()));
}

/// The rows of g and l of a fused product, for inner element i of `inner`.
std::pair<Value, Value> fusedRows(TensorBuilder &b, ActivationAttr activation, Value i,
                                  Value inner) {
  if (activation.getGate() == Gate::halves)
    return {i, b.add(i, inner)};
  Value even = b.add(i, i);
  return {even, b.add(even, b.index(1))};
}

Value innerOf(TensorBuilder &b, ActivationAttr activation, Value rows) {
  return activation && activation.isFused()
             ? arith::DivUIOp::create(b, rows, b.index(2)).getResult()
             : rows;
}

//===----------------------------------------------------------------------===//
// experts
//===----------------------------------------------------------------------===//

/// Emits moe.experts, token by token, without sorting.
class Experts {
public:
  Experts(TensorBuilder &b, ExpertsOp op)
      : b(b), op(op), quant(op.getQuantAttr()), f32(b.getF32Type()), tokens(b.size(op.getX(), 0)),
        hidden(b.size(op.getX(), 1)), topK(b.size(op.getIds(), 1)),
        experts(b.index(b.size(op.getWIn(), 0))) {}

  Value emit() {
    Value a = activations();
    OpFoldResult inner = b.size(a, 2);
    Value products = product(op.getOut(), a, {0, 1, 2}, inner, hidden);
    // Loops t, k, h.
    Value sums =
        b.reduce({tokens, topK, hidden}, {{products, {0, 1, 2}}, {op.getWeights(), {0, 1}}},
                 {b.filled({tokens, hidden}, f32, 0), {0, 2}}, [&](TensorBuilder &b, ValueRange v) {
                   Value y = biased(b, v[0], op.getOut(), expert(b), b.loop(2));
                   if (!op.getScaleInput())
                     y = b.mul(v[1], y);
                   return b.select(isExpert(b), b.add(v[2], y), v[2]);
                 });
    Type element = elementOf(op.getX());
    return element == f32 ? sums
                          : b.compute({tokens, hidden}, {{sums, {0, 1}}}, element,
                                      [&](TensorBuilder &b, ValueRange v) {
                                        return b.convert(v[0], element);
                                      });
  }

private:
  /// Inside loops that start with t, k.
  Value id(TensorBuilder &b) {
    return b.convert(b.extract(op.getIds(), {b.loop(0), b.loop(1)}), b.getIndexType());
  }
  Value isExpert(TensorBuilder &b) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ult, id(b), experts);
  }
  /// An expert that exists; what it gives is not used where none was chosen.
  Value expert(TensorBuilder &b) { return b.select(isExpert(b), id(b), b.index(0)); }

  /// [T,K,rows], without bias. Loops t, k, depth, row.
  Value product(const Matrix &matrix, Value x, ArrayRef<unsigned> dims, OpFoldResult depth,
                OpFoldResult rows) {
    Value zero = b.filled({tokens, topK, rows}, f32, 0);
    return b.reduce({tokens, topK, depth, rows}, {{x, llvm::to_vector(dims)}}, {zero, {0, 1, 3}},
                    [&](TensorBuilder &b, ValueRange v) {
                      Value w = weight(b, matrix, quant, expert(b), b.loop(3), b.loop(2));
                      return b.add(v[1], b.mul(b.convert(v[0], f32), w));
                    });
  }

  Value firstProduct(const Matrix &matrix, Value x, ArrayRef<unsigned> dims) {
    return product(matrix, x, dims, hidden, b.size(matrix.weights, 1));
  }

  /// a [T,K,I].
  Value activations() {
    Value x = op.getX();
    SmallVector<unsigned> dims{0, 2};
    if (op.getScaleInput()) {
      x = b.compute(
          {tokens, topK, hidden}, {{x, {0, 2}}, {op.getWeights(), {0, 1}}}, f32,
          [&](TensorBuilder &b, ValueRange v) { return b.mul(b.convert(v[0], f32), v[1]); });
      dims = {0, 1, 2};
    }
    ActivationAttr activation = op.getActivation();
    Matrix in = op.getIn(), up = op.getUp();
    Value first = firstProduct(in, x, dims);
    Value second = up.weights ? firstProduct(up, x, dims) : Value();
    Value inner = innerOf(b, activation, b.index(b.size(op.getWIn(), 1)));
    SmallVector<OpFoldResult> sizes{tokens, topK, inner};
    Type element = elementOf(op.getX());
    return b.compute(sizes, {}, element, [&](TensorBuilder &b, ValueRange) {
      Value t = b.loop(0), k = b.loop(1), i = b.loop(2);
      auto read = [&](Value tensor, const Matrix &matrix, Value row) {
        return biased(b, b.extract(tensor, {t, k, row}), matrix, expert(b), row);
      };
      Value g, l;
      if (activation.isFused()) {
        auto [gRow, lRow] = fusedRows(b, activation, i, inner);
        g = read(first, in, gRow);
        l = read(first, in, lRow);
      } else {
        g = read(first, in, i);
        l = second ? read(second, up, i) : Value();
      }
      return b.convert(activate(b, activation, g, l), element);
    });
  }

  TensorBuilder &b;
  ExpertsOp op;
  QuantAttr quant;
  Type f32;
  OpFoldResult tokens, hidden, topK;
  Value experts;
};

//===----------------------------------------------------------------------===//
// permute
//===----------------------------------------------------------------------===//

Value insert(TensorBuilder &b, Value value, Value tensor, ValueRange at) {
  return tensor::InsertOp::create(b, value, tensor, at);
}

/// Counting sort of slots; the last bucket holds those without expert.
class Sort {
public:
  Sort(TensorBuilder &b, PermuteOp op)
      : b(b), op(op), i32(b.getI32Type()), experts(b.index(op.getExperts())),
        topK(b.index(b.size(op.getIds(), 1))), slots(b.mul(b.index(b.size(op.getIds(), 0)), topK)) {
  }

  SmallVector<Value> emit() {
    OpFoldResult buckets = b.getIndexAttr(op.getExperts() + 1);
    Value counts =
        overSlots(b.filled(buckets, i32, 0), [&](TensorBuilder &b, Value slot, ValueRange state) {
          Value bucket = bucketOf(b, slot);
          Value count = b.add(b.extract(state[0], bucket), b.constant(i32, 1));
          return SmallVector<Value>{insert(b, count, state[0], bucket)};
        })[0];
    Value offsets = exclusiveSum(counts, buckets);
    Value next = b.compute(buckets, {{offsets, {0}}}, i32,
                           [](TensorBuilder &, ValueRange v) { return v[0]; });
    Value sorted = tensor::EmptyOp::create(b, {OpFoldResult(slots)}, i32);
    Value positions = tensor::EmptyOp::create(b, b.sizes(op.getIds()), i32);
    SmallVector<Value> placed =
        overSlots({next, sorted, positions}, [&](TensorBuilder &b, Value slot, ValueRange state) {
          Value bucket = bucketOf(b, slot), place = b.extract(state[0], bucket);
          Value isNone = b.equal(bucket, experts);
          Value position = b.select(isNone, b.constant(i32, -1), place);
          return SmallVector<Value>{
              insert(b, b.add(place, b.constant(i32, 1)), state[0], bucket),
              insert(b, b.convert(slot, i32), state[1], b.convert(place, b.getIndexType())),
              insert(b, position, state[2], place2d(b, slot))};
        });
    return {offsets, placed[1], placed[2]};
  }

private:
  using Step = function_ref<SmallVector<Value>(TensorBuilder &, Value, ValueRange)>;

  SmallVector<Value> overSlots(ValueRange init, Step step) {
    auto loop =
        scf::ForOp::create(b, b.index(0), slots, b.index(1), init,
                           [&](OpBuilder &nested, Location loc, Value slot, ValueRange state) {
                             TensorBuilder inner(nested, loc);
                             scf::YieldOp::create(inner, step(inner, slot, state));
                           });
    return llvm::to_vector_of<Value>(loop.getResults());
  }

  SmallVector<Value> place2d(TensorBuilder &b, Value slot) {
    return {arith::DivUIOp::create(b, slot, topK), arith::RemUIOp::create(b, slot, topK)};
  }

  Value bucketOf(TensorBuilder &b, Value slot) {
    Value id = b.convert(b.extract(op.getIds(), place2d(b, slot)), b.getIndexType());
    return arith::MinUIOp::create(b, id, experts);
  }

  /// out[e] = sum of counts[0..e).
  Value exclusiveSum(Value counts, OpFoldResult buckets) {
    return b.reduce({buckets, buckets}, {{counts, {1}}}, {b.filled(buckets, i32, 0), {0}},
                    [&](TensorBuilder &b, ValueRange v) {
                      return b.select(b.less(b.loop(1), b.loop(0)), b.add(v[1], v[0]), v[1]);
                    });
  }

  TensorBuilder &b;
  PermuteOp op;
  Type i32;
  Value experts, topK, slots;
};

//===----------------------------------------------------------------------===//
// grouped_matmul
//===----------------------------------------------------------------------===//

/// Emits moe.grouped_matmul.
class GroupedMatmul {
public:
  GroupedMatmul(TensorBuilder &b, GroupedMatmulOp op)
      : b(b), op(op), quant(op.getQuantAttr()), f32(b.getF32Type()),
        rows(b.size(op.getSlots() ? op.getSlots() : op.getX(), 0)), depth(b.size(op.getX(), 1)),
        columns(b.size(op.getW(), 1)) {
    if (op.getOffsets()) {
      groups = arith::SubIOp::create(b, b.index(b.size(op.getOffsets(), 0)), b.index(1));
      groupOfRow = groupsOfRows();
    }
  }

  Value emit() {
    Value x = op.getSlots() ? gatherRows(b, op) : op.getX();
    Matrix matrix = op.getMatrix(), up = op.getUp();
    Value first = product(matrix, x), second = up.weights ? product(up, x) : Value();
    ActivationAttr activation = op.getActivationAttr();
    Value inner = innerOf(b, activation, b.index(columns));
    return b.compute({rows, inner}, {}, op.getElement(), [&](TensorBuilder &b, ValueRange) {
      auto read = [&](Value products, const Matrix &matrix, Value row) {
        return biased(b, b.extract(products, {b.loop(0), row}), matrix, expert(b), row);
      };
      Value y;
      if (activation && activation.isFused()) {
        auto [g, l] = fusedRows(b, activation, b.loop(1), inner);
        y = activate(b, activation, read(first, matrix, g), read(first, matrix, l));
      } else {
        y = read(first, matrix, b.loop(1));
        Value l = second ? read(second, up, b.loop(1)) : Value();
        y = activation ? activate(b, activation, y, l) : y;
      }
      return b.convert(b.select(isInGroup(b), y, b.constant(f32, 0)), op.getElement());
    });
  }

private:
  /// The number of groups that end at or before each row.
  Value groupsOfRows() {
    Type i32 = b.getI32Type();
    return b.reduce({rows, groups}, {}, {b.filled(rows, i32, 0), {0}},
                    [&](TensorBuilder &b, ValueRange v) {
                      Value end = b.extract(op.getOffsets(), b.add(b.loop(1), b.index(1)));
                      Value isPast = b.less(b.convert(b.loop(0), i32), end);
                      return b.select(isPast, v[0], b.add(v[0], b.constant(i32, 1)));
                    });
  }

  Value group(TensorBuilder &b) {
    if (!op.getOffsets())
      return b.index(0);
    return b.convert(b.extract(groupOfRow, b.loop(0)), b.getIndexType());
  }
  Value isInGroup(TensorBuilder &b) {
    return op.getOffsets() ? b.less(group(b), groups) : b.constant(b.getI1Type(), 1);
  }
  /// The matrix of the row; of no matter for rows past the last group.
  Value expert(TensorBuilder &b) {
    Value index = b.select(isInGroup(b), group(b), b.index(0));
    if (op.getExperts())
      index = b.convert(b.extract(op.getExperts(), index), b.getIndexType());
    return index;
  }

  /// Without bias. Loops r, k, n.
  Value product(const Matrix &matrix, Value x) {
    Value zero = b.filled({rows, columns}, f32, 0);
    return b.reduce({rows, depth, columns}, {{x, {0, 1}}}, {zero, {0, 2}},
                    [&](TensorBuilder &b, ValueRange v) {
                      Value w = weight(b, matrix, quant, expert(b), b.loop(2), b.loop(1));
                      return b.add(v[1], b.mul(b.convert(v[0], f32), w));
                    });
  }

  TensorBuilder &b;
  GroupedMatmulOp op;
  QuantAttr quant;
  Type f32;
  OpFoldResult rows, depth, columns;
  Value groups, groupOfRow;
};

} // namespace

Value gatherRows(TensorBuilder &b, GroupedMatmulOp op) {
  Type f32 = b.getF32Type(), element = op.getInputScales() ? f32 : elementOf(op.getX());
  SmallVector<OpFoldResult> sizes{b.size(op.getSlots(), 0), b.size(op.getX(), 1)};
  Value perRow = b.index(op.getSlotsPerRow());
  return b.compute(sizes, {{op.getSlots(), {0}}}, element, [&](TensorBuilder &b, ValueRange v) {
    Value slot = b.convert(v[0], b.getIndexType());
    Value row = arith::DivUIOp::create(b, slot, perRow);
    Value x = b.extract(op.getX(), {row, b.loop(1)});
    if (!op.getInputScales())
      return x;
    Value k = arith::RemUIOp::create(b, slot, perRow);
    return b.mul(b.convert(x, f32), b.extract(op.getInputScales(), {row, k}));
  });
}

FailureOr<SmallVector<Value>> ExpertsOp::decomposeOperation(OpBuilder &builder) {
  TensorBuilder b(builder, getLoc());
  return SmallVector<Value>{b.castTo(Experts(b, *this).emit(), getType())};
}

FailureOr<SmallVector<Value>> PermuteOp::decomposeOperation(OpBuilder &builder) {
  TensorBuilder b(builder, getLoc());
  SmallVector<Value> results = Sort(b, *this).emit();
  for (auto [result, type] : llvm::zip_equal(results, getResultTypes()))
    result = b.castTo(result, type);
  return results;
}

FailureOr<SmallVector<Value>> GroupedMatmulOp::decomposeOperation(OpBuilder &builder) {
  TensorBuilder b(builder, getLoc());
  return SmallVector<Value>{b.castTo(GroupedMatmul(b, *this).emit(), getType())};
}

FailureOr<SmallVector<Value>> CombineOp::decomposeOperation(OpBuilder &builder) {
  TensorBuilder b(builder, getLoc());
  Type f32 = b.getF32Type();
  OpFoldResult tokens = b.size(getPositions(), 0), topK = b.size(getPositions(), 1);
  OpFoldResult hidden = b.size(getRows(), 1);
  SmallVector<TensorBuilder::Operand> operands{{getPositions(), {0, 1}}};
  if (getWeights())
    operands.push_back({getWeights(), {0, 1}});
  Value sums =
      b.reduce({tokens, topK, hidden}, operands, {b.filled({tokens, hidden}, f32, 0), {0, 2}},
               [&](TensorBuilder &b, ValueRange v) {
                 Value row = b.convert(v[0], b.getIndexType()), isSlot = b.less(b.index(-1), row);
                 Value zero = b.constant(elementOf(getRows()), 0);
                 Value y = b.convert(b.extractOr(isSlot, getRows(), {row, b.loop(2)}, zero), f32);
                 if (getWeights())
                   y = b.mul(v[1], y);
                 return b.select(isSlot, b.add(v.back(), y), v.back());
               });
  operands = {{sums, {0, 1}}};
  if (getAddend())
    operands.push_back({getAddend(), {0, 1}});
  Value result =
      b.compute({tokens, hidden}, operands, getElement(), [&](TensorBuilder &b, ValueRange v) {
        Value y = getAddend() ? b.add(v[0], b.convert(v[1], f32)) : v[0];
        return b.convert(y, getElement());
      });
  return SmallVector<Value>{b.castTo(result, getType())};
}

} // namespace moec::moe
