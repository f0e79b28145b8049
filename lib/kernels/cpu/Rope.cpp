#include "lib/kernels/cpu/Rope.h"

#include "lib/kernels/cpu/KernelBuilder.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moec {
namespace {

class RopeEmitter {
public:
  RopeEmitter(KernelBuilder &b, const Rope &op, ValueRange arguments)
      : b(b), op(op), x(arguments[0]), cosines(arguments[1]), sines(arguments[2]),
        positions(op.hasPositions ? arguments[3] : Value()), y(arguments.drop_back(2).back()),
        begin(arguments.drop_back(1).back()), end(arguments.back()) {}

  void emit() {
    Value tokens = memref::DimOp::create(b, x, 1);
    b.forEach(begin, end, 1, [&](Value index) {
      batch = arith::DivUIOp::create(b, index, tokens);
      token = arith::RemUIOp::create(b, index, tokens);
      emitToken();
    });
  }

private:
  void emitToken() {
    SmallVector<Value> row{batch, token};
    if (positions) {
      Value position = b.loadIndex(positions, row);
      Value rows = memref::DimOp::create(b, cosines, 0);
      Value inside = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, position, rows);
      cf::AssertOp::create(b, inside, "a position lies outside the rotary cache");
      row = {position};
    }
    row.emplace_back();
    b.forVectors(op.pairs, [&](Value pair, int64_t count) {
      row.back() = pair;
      Value cosine = b.loadFloats(cosines, row, count), sine = b.loadFloats(sines, row, count);
      b.forEach(b.index(0), b.index(op.heads), 1,
                [&](Value head) { rotate(head, pair, count, cosine, sine); });
    });
    // The other dimensions pass through.
    int64_t rotated = 2 * op.pairs;
    b.forEach(b.index(0), b.index(op.depth > rotated ? op.heads : 0), 1, [&](Value head) {
      b.forVectors(op.depth - rotated, [&](Value d, int64_t count) {
        Value at = b.add(d, b.index(rotated));
        store(load(head, at, count), head, at, count);
      });
    });
  }

  void rotate(Value head, Value pair, int64_t count, Value cosine, Value sine) {
    Value first, second;
    Value other = op.isInterleaved ? b.mul(pair, b.index(2)) : b.add(pair, b.index(op.pairs));
    if (op.isInterleaved)
      std::tie(first, second) = loadPairs(head, other, count);
    else
      std::tie(first, second) = std::pair(load(head, pair, count), load(head, other, count));
    Value turnedFirst = b.sub(b.mul(first, cosine), b.mul(second, sine));
    Value turnedSecond = b.add(b.mul(second, cosine), b.mul(first, sine));
    if (op.isInterleaved)
      return storePairs(turnedFirst, turnedSecond, head, other, count);
    store(turnedFirst, head, pair, count);
    store(turnedSecond, head, other, count);
  }

  Value load(Value head, Value d, int64_t count) {
    if (count == 0)
      return b.constant(b.vector(), 0);
    return b.loadFloats(x, {batch, token, head, d}, count);
  }
  void store(Value value, Value head, Value d, int64_t count) {
    if (count)
      b.storeFloats(value, y, {batch, token, head, d}, count);
  }

  /// How many of 2 * `count` elements are in the first and second vector.
  std::pair<int64_t, int64_t> split(int64_t count) {
    int64_t first = std::min(2 * count, b.lanes());
    return {first, 2 * count - first};
  }

  Value shuffle(Value lhs, Value rhs, function_ref<int64_t(int64_t)> source) {
    SmallVector<int64_t> lanes;
    for (int64_t lane = 0; lane < b.lanes(); ++lane)
      lanes.push_back(source(lane));
    return vector::ShuffleOp::create(b, lhs, rhs, lanes);
  }

  /// The even and the odd of 2 * `count` elements from d on.
  std::pair<Value, Value> loadPairs(Value head, Value d, int64_t count) {
    auto [low, high] = split(count);
    Value lhs = load(head, d, low), rhs = load(head, b.add(d, b.index(b.lanes())), high);
    return {shuffle(lhs, rhs, [](int64_t lane) { return 2 * lane; }),
            shuffle(lhs, rhs, [](int64_t lane) { return 2 * lane + 1; })};
  }

  void storePairs(Value even, Value odd, Value head, Value d, int64_t count) {
    auto [low, high] = split(count);
    int64_t lanes = b.lanes();
    auto half = [&](int64_t from) {
      return shuffle(even, odd,
                     [&](int64_t lane) { return from + lane / 2 + (lane % 2 ? lanes : 0); });
    };
    store(half(0), head, d, low);
    store(half(lanes / 2), head, b.add(d, b.index(lanes)), high);
  }

  KernelBuilder &b;
  const Rope &op;
  Value x, cosines, sines, positions, y, begin, end;
  Value batch, token;
};

} // namespace

func::FuncOp Rope::build(OpBuilder &builder, const Chip &chip) const {
  SmallVector<Type> types = inputTypes(builder);
  types.push_back(outputType());
  return defineKernel(builder, chip, name(), types, [&](KernelBuilder &b, ValueRange arguments) {
    RopeEmitter(b, *this, arguments).emit();
  });
}

} // namespace moec
