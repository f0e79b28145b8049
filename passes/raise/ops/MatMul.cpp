//===- MatMul.cpp - matrix products ----------------------------------------===//
#include "passes/raise/ops/Helpers.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {
namespace {

/// The type that products are summed in: narrow floats round once, at the end.
Type sumType(Emitter &e, Type elementType) {
  if (isa<FloatType>(elementType) && elementType.getIntOrFloatBitWidth() < 32)
    return e.getF32Type();
  return signlessType(elementType);
}

/// Sums a[batch.., m, k] * b[batch.., k, n] over k, ascending. `b` may lack the
/// batch dimensions; sizes of 1 are broadcast.
Tensor product(Emitter &e, Tensor a, Tensor b) {
  Tensor batchA = a, batchB = b;
  batchA.shape.truncate(a.rank() - 2);
  batchB.shape.truncate(b.rank() - 2);
  batchA.elements = batchB.elements = std::nullopt;
  OpFoldResult m = a.shape[a.rank() - 2], n = b.shape.back(), k = a.shape.back();
  // Rows of all batches are rows of one product when the weights are shared.
  if (b.rank() == 2) {
    Scalars shape = batchA.shape;
    Tensor rows = e.reshape(a, {e.mul(e.product(batchA.shape), m), k});
    Type type = sumType(e, a.elementType);
    Value x = e.value(rows), w = e.value(b);
    Value init = e.filled({rows.shape[0], n}, e.constant(type, 0));
    Value sum = linalg::MatmulOp::create(e, ValueRange{x, w}, ValueRange{init}).getResult(0);
    Tensor flat = e.tensor(sum, a.isFloat() ? type : a.elementType, {rows.shape[0], n});
    flat = e.cast(flat, a.elementType);
    shape.append({m, n});
    return e.reshape(flat, shape);
  }
  Scalars batch = e.broadcastShapes({batchA, batchB});
  auto expand = [&](Tensor &x) {
    Scalars shape(batch);
    shape.append({x.shape[x.rank() - 2], x.shape.back()});
    Tensor wide = e.broadcastTo(x, shape);
    wide = e.reshape(wide, shape);
    return e.reshape(wide, {e.product(batch), shape[shape.size() - 2], shape.back()});
  };
  Tensor wideA = expand(a), wideB = expand(b);
  Type type = sumType(e, a.elementType);
  Value init = e.filled({wideA.shape[0], m, n}, e.constant(type, 0));
  Value x = e.value(wideA), y = e.value(wideB);
  Value sum = linalg::BatchMatmulOp::create(e, ValueRange{x, y}, ValueRange{init}).getResult(0);
  Tensor flat = e.tensor(sum, a.isFloat() ? type : a.elementType, {wideA.shape[0], m, n});
  flat = e.cast(flat, a.elementType);
  Scalars shape(batch);
  shape.append({m, n});
  return e.reshape(flat, shape);
}

} // namespace

/// Vectors become matrices and lose the dimension again.
Tensor matmul(Emitter &e, Tensor a, Tensor b) {
  bool vectorA = a.rank() == 1, vectorB = b.rank() == 1;
  if (vectorA)
    a = e.unsqueeze(a, {0});
  if (vectorB)
    b = e.unsqueeze(b, {1});
  Value same = e.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::eq, e.index(a.shape.back()),
                                             e.index(b.shape[b.rank() - 2]));
  e.check(same, "the inner sizes of a matrix product differ");
  Tensor result = product(e, a, b);
  SmallVector<int64_t> drop;
  if (vectorA)
    drop.push_back(result.rank() - 2);
  if (vectorB)
    drop.push_back(result.rank() - 1);
  return drop.empty() ? result : e.squeeze(result, drop);
}

Tensor gemm(Node &node) {
  Emitter &e = node.emitter;
  Tensor a = node.in(0), b = node.in(1);
  if (node.intAttr("transA", 0))
    a = e.transpose(a, {1, 0});
  if (node.intAttr("transB", 0))
    b = e.transpose(b, {1, 0});
  auto scale = [&](Tensor x, double factor) {
    if (factor == 1)
      return x;
    return e.elementwise({x}, x.elementType, [&](Emitter &in, ValueRange v) -> Value {
      Value constant = in.constant(v[0].getType(), factor);
      if (x.isFloat())
        return arith::MulFOp::create(in, v[0], constant);
      return arith::MulIOp::create(in, v[0], constant);
    });
  };
  double alpha = node.floatAttr("alpha", 1), beta = node.floatAttr("beta", 1);
  Tensor result = scale(matmul(e, a, b), alpha);
  if (node.has(2)) {
    Tensor c = scale(node.in(2), beta);
    result =
        e.elementwise({result, c}, result.elementType, [&](Emitter &in, ValueRange v) -> Value {
          if (result.isFloat())
            return arith::AddFOp::create(in, v[0], v[1]);
          return arith::AddIOp::create(in, v[0], v[1]);
        });
  }
  return result;
}

namespace {

LogicalResult lowerMatMul(Node &node) {
  if (node.in(0).rank() == 0 || node.in(1).rank() == 0)
    return node.refuse("a scalar is no matrix");
  return node.set(0, matmul(node.emitter, node.in(0), node.in(1)));
}

LogicalResult lowerGemm(Node &node) { return node.set(0, gemm(node)); }

const OperatorInfo kTable[] = {
    {"", "Gemm", 2, 3, lowerGemm, 7},
    {"", "MatMul", 2, 2, lowerMatMul, 1},
};

} // namespace

ArrayRef<OperatorInfo> matmulOperators() { return kTable; }

} // namespace moec::raise
