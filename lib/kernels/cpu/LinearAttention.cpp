#include "lib/kernels/cpu/LinearAttention.h"

#include "lib/kernels/KernelArguments.h"
#include "lib/kernels/cpu/KernelBuilder.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace moec {
namespace {

/// Vectors of one column block, and of their sums for all heads, that registers
/// hold beside what is multiplied with them.
constexpr int64_t kMostVectors = 4, kMostSums = 8;

int64_t vectorsPerBlock(const LinearAttention &op) {
  return std::clamp<int64_t>(kMostSums / op.headsPerState(), 1, kMostVectors);
}

int64_t columnsPerBlock(const LinearAttention &op, const Chip &chip) {
  return vectorsPerBlock(op) * chip.lanes(32);
}

class LinearAttentionEmitter {
public:
  LinearAttentionEmitter(KernelBuilder &b, const LinearAttention &op, ValueRange arguments)
      : b(b), op(op) {
    auto next = [&](bool isPresent = true) { return takeArgument(arguments, isPresent); };
    q = next();
    k = next();
    v = next();
    past = next();
    decay = next(op.decayDepth != 0);
    beta = next(op.betaHeads != 0);
    result = next();
    present = next();
    begin = next();
    end = next();
  }

  void emit() {
    // exp(decay) of the token, where rows have their own.
    if (op.decayDepth > 1)
      factors = memref::AllocaOp::create(b, MemRefType::get(op.depth, b.getF32Type()),
                                         b.getI64IntegerAttr(64));
    int64_t columns = vectorsPerBlock(op) * b.lanes(), whole = op.width / columns;
    int64_t blocks = llvm::divideCeil(op.width, columns);
    Value tokens = memref::DimOp::create(b, q, 1);
    b.forEach(begin, end, 1, [&](Value index) {
      Value rest = arith::DivUIOp::create(b, index, b.index(blocks));
      Value block = arith::RemUIOp::create(b, index, b.index(blocks));
      batch = arith::DivUIOp::create(b, rest, b.index(op.stateHeads));
      state = arith::RemUIOp::create(b, rest, b.index(op.stateHeads));
      keyHead = arith::DivUIOp::create(b, state, b.index(op.stateHeads / op.keyHeads));
      column = b.mul(block, b.index(columns));
      auto emitWhole = [&] { emitBlock(tokens, columns); };
      auto emitRest = [&] { emitBlock(tokens, op.width % columns); };
      if (whole == 0)
        emitRest();
      else if (whole == blocks)
        emitWhole();
      else
        b.ifElse(b.less(block, b.index(whole)), emitWhole, emitRest);
    });
  }

private:
  /// All tokens, for `columns` columns from `column` on.
  void emitBlock(Value tokens, int64_t columns) {
    counts.clear();
    for (; columns > 0; columns -= b.lanes())
      counts.push_back(std::min(columns, b.lanes()));
    b.ifTrue(b.equal(tokens, b.index(0)), [&] {
      b.forEach(b.index(0), b.index(op.depth), 1, [&](Value d) {
        for (int64_t i : vectors())
          store(load(past, d, i), d, i);
      });
    });
    b.forEach(b.index(0), tokens, 1, [&](Value t) {
      token = t;
      Value before = b.select(b.equal(t, b.index(0)), past, present);
      takeFactors();
      attend(before, updates(before));
    });
  }

  /// The decays of the token, or the one of all rows.
  void takeFactors() {
    SmallVector<Value> at{batch, token, state, b.index(0)};
    if (op.decayDepth == 1)
      factor = b.exp(b.broadcast(scalar(decay, at)));
    if (op.decayDepth <= 1)
      return;
    b.forVectors(op.depth, [&](Value d, int64_t count) {
      at.back() = d;
      b.storeFloats(b.exp(b.loadFloats(decay, at, count)), factors, d, count);
    });
  }

  /// What each column adds to the state, times the key.
  SmallVector<Value> updates(Value before) {
    SmallVector<Value> values;
    for (int64_t i : vectors())
      values.push_back(b.loadFloats(v, {batch, token, state, columnOf(i)}, counts[i]));
    if (!beta)
      return values;
    SmallVector<Value> retrieved(counts.size(), b.constant(b.vector(), 0));
    retrieved = b.forEach(b.index(0), b.index(op.depth), 1, retrieved,
                          [&](Value d, MutableArrayRef<Value> sums) {
                            Value key = scalarOfKey(d), decay = factorOf(d);
                            for (int64_t i : vectors())
                              sums[i] = b.multiplyAdd(key, decayed(before, d, i, decay), sums[i]);
                          });
    Value head = op.betaHeads == 1 ? b.index(0) : state;
    Value rate = b.broadcast(scalar(beta, {batch, token, head}));
    for (int64_t i : vectors())
      values[i] = b.mul(rate, b.sub(values[i], retrieved[i]));
    return values;
  }

  /// The state behind the token, and what the token's heads read of it.
  void attend(Value before, ArrayRef<Value> updates) {
    int64_t heads = op.headsPerState(), width = counts.size();
    SmallVector<Value> sums(heads * width, b.constant(b.vector(), 0));
    sums = b.forEach(b.index(0), b.index(op.depth), 1, sums,
                     [&](Value d, MutableArrayRef<Value> sums) {
                       Value key = scalarOfKey(d), decay = factorOf(d);
                       SmallVector<Value> queries;
                       for (int64_t head = 0; head < heads; ++head)
                         queries.push_back(scalarOfQuery(head, d));
                       for (int64_t i : vectors()) {
                         Value s = b.multiplyAdd(key, updates[i], decayed(before, d, i, decay));
                         // The result reads what the state's type keeps.
                         s = b.convert(b.convert(s, op.state), b.getF32Type());
                         store(s, d, i);
                         for (int64_t head = 0; head < heads; ++head) {
                           Value &sum = sums[head * width + i];
                           sum = b.multiplyAdd(queries[head], s, sum);
                         }
                       }
                     });
    Value scale = b.constant(b.vector(), op.scale);
    for (int64_t head = 0; head < heads; ++head)
      for (int64_t i : vectors())
        b.storeFloats(b.mul(scale, sums[head * width + i]), result,
                      {batch, token, headOf(head), columnOf(i)}, counts[i]);
  }

  llvm::iota_range<int64_t> vectors() const { return llvm::seq<int64_t>(0, counts.size()); }
  Value columnOf(int64_t vector) { return b.add(column, b.index(vector * b.lanes())); }
  /// Head `head` of those that read the state.
  Value headOf(int64_t head) {
    return b.add(b.mul(state, b.index(op.headsPerState())), b.index(head));
  }

  Value load(Value states, Value d, int64_t vector) {
    return b.loadFloats(states, {batch, state, d, columnOf(vector)}, counts[vector]);
  }
  void store(Value value, Value d, int64_t vector) {
    b.storeFloats(value, present, {batch, state, d, columnOf(vector)}, counts[vector]);
  }
  Value decayed(Value states, Value d, int64_t vector, Value factor) {
    Value s = load(states, d, vector);
    return factor ? b.mul(factor, s) : s;
  }
  /// The decay of row d, or nothing.
  Value factorOf(Value d) {
    return factors ? b.broadcast(memref::LoadOp::create(b, factors, d)) : factor;
  }

  Value scalar(Value memref, ArrayRef<Value> at) {
    return b.convert(memref::LoadOp::create(b, memref, at), b.getF32Type());
  }
  Value scalarOfKey(Value d) { return b.broadcast(scalar(k, {batch, token, keyHead, d})); }
  Value scalarOfQuery(int64_t head, Value d) {
    Value query = headOf(head);
    if (op.heads() != op.queryHeads)
      query = arith::DivUIOp::create(b, query, b.index(op.heads() / op.queryHeads));
    return b.broadcast(scalar(q, {batch, token, query, d}));
  }

  KernelBuilder &b;
  const LinearAttention &op;
  Value q, k, v, past, decay, beta, result, present, begin, end;
  Value batch, state, keyHead, column, token;
  /// Elements of each vector of the block.
  SmallVector<int64_t> counts;
  Value factor, factors;
};

SmallVector<Type> argumentTypes(const LinearAttention &op) {
  constexpr int64_t kDynamic = ShapedType::kDynamic;
  auto perToken = [&](int64_t heads, int64_t size, Type element) {
    return contiguousRows({kDynamic, kDynamic, heads, size}, element);
  };
  MemRefType state = contiguousRows({kDynamic, op.stateHeads, op.depth, op.width}, op.state);
  SmallVector<Type> types{perToken(op.queryHeads, op.depth, op.element),
                          perToken(op.keyHeads, op.depth, op.element),
                          perToken(op.stateHeads, op.width, op.element), state};
  if (op.decayDepth)
    types.push_back(perToken(op.stateHeads, op.decayDepth, op.decay));
  if (op.betaHeads)
    types.push_back(contiguousRows({kDynamic, kDynamic, op.betaHeads}, op.beta));
  types.append({perToken(op.heads(), op.width, op.element), state});
  return types;
}

} // namespace

std::string LinearAttention::name() const {
  std::string name;
  llvm::raw_string_ostream stream(name);
  stream << "linear_attention_" << element << "_" << queryHeads << "x" << depth << "_" << stateHeads
         << "x" << width;
  if (state != element)
    stream << "_state_" << state;
  if (decayDepth)
    stream << "_decay" << decayDepth;
  if (betaHeads)
    stream << "_beta" << betaHeads;
  return name;
}

func::FuncOp LinearAttention::build(OpBuilder &builder, const Chip &chip) const {
  return defineKernel(builder, chip, name(), argumentTypes(*this),
                      [&](KernelBuilder &b, ValueRange arguments) {
                        LinearAttentionEmitter(b, *this, arguments).emit();
                      });
}

Value LinearAttention::grid(OpBuilder &builder, Location loc, const Chip &chip, Value batch) const {
  TensorBuilder b(builder, loc);
  int64_t blocks = llvm::divideCeil(width, columnsPerBlock(*this, chip));
  return b.mul(batch, b.index(stateHeads * blocks));
}

} // namespace moec
