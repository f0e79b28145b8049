//===- Pooling.cpp - reductions over windows -------------------------------===//
#include "passes/raise/Operators.h"
#include "passes/raise/ops/Windows.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {
namespace {

/// The windows of a pooling node and the tensor [N, C, O..., K...] of what they
/// read.
struct Pool {
  Windows windows;
  Tensor read;
  SmallVector<int64_t> kernelDims;
};

FailureOr<Pool> poolOf(Node &node, Tensor x, Value outside,
                       llvm::function_ref<Value(Emitter &, Value)> map = nullptr) {
  Emitter &e = node.emitter;
  std::optional<SmallVector<int64_t>> kernel = node.intsAttr("kernel_shape");
  if (x.rank() < 3 || !kernel)
    return node.refuse("it needs a kernel_shape and a tensor of rank 3 or more");
  Scalars kernelSizes;
  for (int64_t size : *kernel)
    kernelSizes.push_back(e.size(size));
  FailureOr<Windows> windows =
      windowsOf(node, Scalars(ArrayRef(x.shape).drop_front(2)), kernelSizes);
  if (failed(windows))
    return failure();
  int64_t rank = windows->rank();
  Scalars loops{x.shape[0], x.shape[1]};
  llvm::append_range(loops, windows->output);
  llvm::append_range(loops, windows->kernel);
  Value data = e.value(x);
  Tensor read = e.generate(loops, x.elementType, [&](Emitter &in, ValueRange at) {
    SmallVector<Value> from{at[0], at[1]};
    for (int64_t dim = 0; dim < rank; ++dim)
      from.push_back(windows->position(in, dim, at[2 + dim], at[2 + rank + dim]));
    Value element = readInside(in, data, from, windows->input, outside);
    return map ? map(in, element) : element;
  });
  return Pool{*windows, read, llvm::to_vector(llvm::seq<int64_t>(2 + rank, 2 + 2 * rank))};
}

Value lowest(Emitter &e, const Tensor &x) {
  Type type = signlessType(x.elementType);
  if (x.isFloat())
    return e.constant(type, -std::numeric_limits<double>::infinity());
  return e.constant(type, x.isUnsigned() ? 0 : -std::ldexp(1.0, type.getIntOrFloatBitWidth() - 1));
}

Tensor maximum(Emitter &e, Tensor x, ArrayRef<int64_t> dims, bool keep) {
  return e.reduce(x, dims, keep, lowest(e, x), [&](Emitter &in, ValueRange v) -> Value {
    if (x.isFloat())
      return arith::MaximumFOp::create(in, v[0], v[1]);
    if (x.isUnsigned())
      return arith::MaxUIOp::create(in, v[0], v[1]);
    return arith::MaxSIOp::create(in, v[0], v[1]);
  });
}

Tensor total(Emitter &e, Tensor x, ArrayRef<int64_t> dims, bool keep) {
  Tensor wide = x.elementType.getIntOrFloatBitWidth() < 32 ? e.cast(x, e.getF32Type()) : x;
  Value zero = e.constant(wide.elementType, 0);
  return e.reduce(wide, dims, keep, zero, [](Emitter &in, ValueRange v) {
    return arith::AddFOp::create(in, v[0], v[1]).getResult();
  });
}

/// The place of the first maximum of each window, counted over the whole
/// tensor, with the last (or, column-major, the first) spatial dimension
/// contiguous.
Tensor placesOf(Emitter &e, const Pool &pool, Tensor top, const Tensor &x, bool columnMajor) {
  Type si64 = e.getIntegerType(64, true);
  Value data = e.value(Tensor(pool.read)), winners = e.value(top);
  int64_t rank = pool.windows.rank();
  Tensor candidates = e.generate(pool.read.shape, si64, [&](Emitter &in, ValueRange at) {
    Value place =
        arith::AddIOp::create(in, arith::MulIOp::create(in, at[0], in.index(x.shape[1])), at[1]);
    auto append = [&](int64_t dim) {
      place = arith::MulIOp::create(in, place, in.index(pool.windows.input[dim]));
      if (!columnMajor)
        place = arith::AddIOp::create(
            in, place, pool.windows.position(in, dim, at[2 + dim], at[2 + rank + dim]));
    };
    for (int64_t dim = 0; dim < rank; ++dim)
      append(dim);
    if (columnMajor) {
      Value offset = in.index(int64_t(0));
      for (int64_t dim = rank - 1; dim >= 0; --dim)
        offset = arith::AddIOp::create(
            in, arith::MulIOp::create(in, offset, in.index(pool.windows.input[dim])),
            pool.windows.position(in, dim, at[2 + dim], at[2 + rank + dim]));
      place = arith::AddIOp::create(in, place, offset);
    }
    Value wins = x.isFloat()
                     ? arith::CmpFOp::create(in, arith::CmpFPredicate::OEQ, in.read(data, at),
                                             in.read(winners, at.take_front(2 + rank)))
                           .getResult()
                     : arith::CmpIOp::create(in, arith::CmpIPredicate::eq, in.read(data, at),
                                             in.read(winners, at.take_front(2 + rank)))
                           .getResult();
    Value number = arith::IndexCastOp::create(in, in.getI64Type(), place);
    Value none = arith::ConstantIntOp::create(in, std::numeric_limits<int64_t>::max(), 64);
    return arith::SelectOp::create(in, wins, number, none).getResult();
  });
  Value none = arith::ConstantIntOp::create(e, std::numeric_limits<int64_t>::max(), 64);
  Tensor places = e.reduce(candidates, pool.kernelDims, false, none, [](Emitter &in, ValueRange v) {
    return arith::MinSIOp::create(in, v[0], v[1]).getResult();
  });
  places.elementType = si64;
  return places;
}

LogicalResult lowerMaxPool(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  FailureOr<Pool> pool = poolOf(node, x, lowest(e, x));
  if (failed(pool))
    return failure();
  Tensor top = maximum(e, pool->read, pool->kernelDims, false);
  bool isColumnMajor = node.intAttr("storage_order", 0) != 0;
  if (node.wants(1))
    (void)node.set(1, placesOf(e, *pool, top, x, isColumnMajor));
  return node.set(0, top);
}

/// How many elements each window averages: those inside the input, and those in
/// the padding when it counts.
Tensor windowCounts(Emitter &e, const Windows &w, bool countPadding) {
  Scalars loops(w.output);
  llvm::append_range(loops, w.kernel);
  int64_t rank = w.rank();
  Type f32 = e.getF32Type();
  Tensor ones = e.generate(loops, f32, [&](Emitter &in, ValueRange at) {
    Value inside = in.constant(in.getI1Type(), 1);
    for (int64_t dim = 0; dim < rank; ++dim) {
      Value position = w.position(in, dim, at[dim], at[rank + dim]);
      OpFoldResult size = w.input[dim];
      if (countPadding) {
        position = arith::AddIOp::create(in, position, in.index(w.padBegin[dim]));
        size = in.add(in.add(size, w.padBegin[dim]), w.padEnd[dim]);
      }
      inside = arith::AndIOp::create(in, inside, isInside(in, position, size));
    }
    return arith::UIToFPOp::create(in, f32, inside).getResult();
  });
  return total(e, ones, llvm::to_vector(llvm::seq<int64_t>(rank, 2 * rank)), false);
}

LogicalResult lowerAveragePool(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  FailureOr<Pool> pool = poolOf(node, x, e.constant(x.elementType, 0));
  if (failed(pool))
    return failure();
  Tensor sum = total(e, pool->read, pool->kernelDims, false);
  Tensor counts = windowCounts(e, pool->windows, node.intAttr("count_include_pad", 0) != 0);
  counts = e.cast(counts, sum.elementType);
  Tensor average = e.elementwise({sum, counts}, sum.elementType, [](Emitter &in, ValueRange v) {
    return arith::DivFOp::create(in, v[0], v[1]).getResult();
  });
  return node.set(0, e.cast(average, x.elementType));
}

Tensor root(Emitter &e, Tensor sum, double p, Type element) {
  Tensor result = e.elementwise({sum}, sum.elementType, [&](Emitter &in, ValueRange v) {
    return math::PowFOp::create(in, v[0], in.constant(v[0].getType(), 1 / p)).getResult();
  });
  return e.cast(result, element);
}

Value power(Emitter &e, Value x, double p) {
  return math::PowFOp::create(e, math::AbsFOp::create(e, x), e.constant(x.getType(), p));
}

LogicalResult lowerLpPool(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  double p = node.intAttr("p", 2);
  FailureOr<Pool> pool = poolOf(node, x, e.constant(x.elementType, 0),
                                [&](Emitter &in, Value v) { return power(in, v, p); });
  if (failed(pool))
    return failure();
  return node.set(0, root(e, total(e, pool->read, pool->kernelDims, false), p, x.elementType));
}

SmallVector<int64_t> spatialDims(const Tensor &x) {
  return llvm::to_vector(llvm::seq<int64_t>(2, x.rank()));
}

LogicalResult lowerGlobalMaxPool(Node &node) {
  return node.set(0, maximum(node.emitter, node.in(0), spatialDims(node.in(0)), true));
}

LogicalResult lowerGlobalAveragePool(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  Tensor sum = total(e, x, spatialDims(x), true);
  OpFoldResult count = e.product(ArrayRef(x.shape).drop_front(2));
  Value divisor = arith::SIToFPOp::create(
      e, sum.elementType, arith::IndexCastOp::create(e, e.getI64Type(), e.index(count)));
  Tensor average = e.elementwise({sum}, sum.elementType, [&](Emitter &in, ValueRange v) {
    return arith::DivFOp::create(in, v[0], divisor).getResult();
  });
  return node.set(0, e.cast(average, x.elementType));
}

LogicalResult lowerGlobalLpPool(Node &node) {
  Emitter &e = node.emitter;
  Tensor x = node.in(0);
  double p = node.intAttr("p", 2);
  Tensor powers = e.elementwise({x}, x.elementType,
                                [&](Emitter &in, ValueRange v) { return power(in, v[0], p); });
  return node.set(0, root(e, total(e, powers, spatialDims(x), true), p, x.elementType));
}

const OperatorInfo kTable[] = {
    {"", "AveragePool", 1, 1, lowerAveragePool, 11},
    {"", "GlobalAveragePool", 1, 1, lowerGlobalAveragePool, 1},
    {"", "GlobalLpPool", 1, 1, lowerGlobalLpPool, 2},
    {"", "GlobalMaxPool", 1, 1, lowerGlobalMaxPool, 1},
    {"", "LpPool", 1, 1, lowerLpPool, 11},
    {"", "MaxPool", 1, 1, lowerMaxPool, 11},
};

} // namespace

ArrayRef<OperatorInfo> poolingOperators() { return kTable; }

} // namespace moec::raise
