//===- Fused.cpp - what ONNX Runtime's graph optimiser makes of nodes -------===//
#include "passes/raise/ops/Formulas.h"
#include "passes/raise/ops/Helpers.h"

#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {
namespace {

Tensor swapLast(Emitter &e, Tensor x) {
  SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(0, x.rank()));
  if (order.size() >= 2)
    std::swap(order[order.size() - 1], order[order.size() - 2]);
  return e.transpose(x, order);
}

/// alpha * a * b, the matrices transposed where asked for.
LogicalResult lowerFusedMatMul(Node &node) {
  Emitter &e = node.emitter;
  for (StringRef name : {"transBatchA", "transBatchB"})
    if (node.intAttr(name, 0))
      return node.refuse(name + " is not supported");
  Tensor a = node.in(0), b = node.in(1);
  if (a.rank() == 0 || b.rank() == 0)
    return node.refuse("a scalar is no matrix");
  if (node.intAttr("transA", 0))
    a = swapLast(e, a);
  if (node.intAttr("transB", 0))
    b = swapLast(e, b);
  Tensor product = matmul(e, a, b);
  double alpha = node.floatAttr("alpha", 1);
  if (alpha == 1)
    return node.set(0, product);
  return node.set(0, e.elementwise({product}, a.elementType, [&](Emitter &in, ValueRange v) {
    return mulf(in, v[0], in.constant(v[0].getType(), alpha));
  }));
}

/// A Gemm, then an activation function.
LogicalResult lowerFusedGemm(Node &node) {
  FailureOr<Tensor> result =
      activated(node, gemm(node), node.stringAttr("activation", ""), "activation_");
  return failed(result) ? failure() : node.set(0, *result);
}

/// x + y * gate, with one gate for each row; the product is rounded.
LogicalResult lowerGatedAdd(Node &node) {
  Tensor x = node.in(0), y = node.in(1), gate = node.in(2);
  return node.set(
      0, node.emitter.elementwise({x, y, gate}, x.elementType, [](Emitter &e, ValueRange v) {
        return addf(e, v[0], mulf(e, v[1], v[2]));
      }));
}

/// Rows of a table of numbers of few bits with a scale per block, gathered and
/// dequantised: (data - zero point) * scale.
class BlockGather {
public:
  explicit BlockGather(Node &node) : node(node), e(node.emitter) {}

  LogicalResult lower() {
    if (failed(readLayout()))
      return failure();
    Tensor data = node.in(0), indices = node.in(1), scales = node.in(2);
    Scalars shape(ArrayRef(unpacked).take_front(gatherAxis));
    llvm::append_range(shape, indices.shape);
    shape.append(unpacked.begin() + gatherAxis + 1, unpacked.end());
    Value table = e.value(data), positions = e.value(indices), factors = e.value(scales);
    Value zeros = node.has(3) ? e.value(node.in(3)) : Value();
    Type f32 = e.getF32Type(), i32 = e.getIntegerType(32, true);
    int64_t count = indices.rank();
    return node.set(0, e.generate(shape, scales.elementType, [&](Emitter &in, ValueRange at) {
      SmallVector<Value> from(at.take_front(gatherAxis));
      Value given = in.read(positions, at.slice(gatherAxis, count));
      from.push_back(checkedIndex(in, given, unpacked[gatherAxis]));
      llvm::append_range(from, at.drop_front(gatherAxis + count));
      SmallVector<Value> block(from);
      block[quantizeAxis] = in.quotient(block[quantizeAxis], in.index(blockSize));
      Value number = readPacked(in, table, data.elementType, from);
      Value zero = zeros ? readPacked(in, zeros, data.elementType, block)
                         : in.constant(in.getI32Type(), perByte ? 1 << (bits - 1) : 0);
      Value difference = in.convert(in.sub(number, zero), i32, f32);
      Value scale = in.convert(in.read(factors, block), scales.elementType, f32);
      return in.convert(mulf(in, difference, scale), f32, scales.elementType);
    }));
  }

private:
  LogicalResult readLayout() {
    Tensor data = node.in(0);
    bits = node.intAttr("bits", 4);
    blockSize = node.intAttr("block_size", 128);
    if (blockSize < 16 || !llvm::isPowerOf2_64(blockSize))
      return node.refuse("block_size is a power of two of at least 16, but it is ") << blockSize;
    FailureOr<int64_t> gather = node.axis(node.intAttr("gather_axis", 0), data.rank());
    FailureOr<int64_t> quantize = node.axis(node.intAttr("quantize_axis", 1), data.rank());
    if (failed(gather) || failed(quantize))
      return failure();
    gatherAxis = *gather;
    quantizeAxis = *quantize;
    if (node.in(2).rank() != data.rank())
      return node.refuse("its scales have the rank ")
             << node.in(2).rank() << ", but its data " << data.rank();
    unpacked = data.shape;
    // Bytes hold several numbers each, along the last dimension.
    if (data.elementType.isUnsignedInteger(8)) {
      if (bits != 2 && bits != 4 && bits != 8)
        return node.refuse("bits is 2, 4 or 8, but it is ") << bits;
      if (gatherAxis != 0 || quantizeAxis != data.rank() - 1)
        return node.refuse("bytes are gathered along the first axis and quantised along the last");
      perByte = 8 / bits;
      unpacked.back() = e.mul(unpacked.back(), e.size(perByte));
    } else if (bits != 4 || data.elementType.getIntOrFloatBitWidth() != 4) {
      return node.refuse("its data has the type ") << data.elementType << " for bits " << bits;
    }
    return success();
  }

  /// A number as i32.
  Value readPacked(Emitter &in, Value tensor, Type type, SmallVector<Value> at) {
    Type i32 = in.getIntegerType(32, true);
    if (!perByte)
      return in.convert(in.read(tensor, at), type, i32);
    Value place = in.remainder(at.back(), in.index(perByte));
    at.back() = in.quotient(at.back(), in.index(perByte));
    Value byte = in.convert(in.read(tensor, at), type, i32);
    Value shift = in.fromIndex(in.mul(place, in.index(bits)), in.getI32Type());
    Value shifted = arith::ShRUIOp::create(in, byte, shift);
    return arith::AndIOp::create(in, shifted, in.constant(in.getI32Type(), (1 << bits) - 1));
  }

  Node &node;
  Emitter &e;
  int64_t bits = 4, blockSize = 128, gatherAxis = 0, quantizeAxis = 1;
  /// How many numbers a byte holds; 0 where elements are numbers themselves.
  int64_t perByte = 0;
  Scalars unpacked;
};

LogicalResult lowerGatherBlockQuantized(Node &node) { return BlockGather(node).lower(); }

const OperatorInfo kTable[] = {
    {kMicrosoft, "FusedGemm", 2, 3, lowerFusedGemm},
    {kMicrosoft, "FusedMatMul", 2, 2, lowerFusedMatMul},
    {kMicrosoft, "GatedAdd", 3, 3, lowerGatedAdd},
    {kMicrosoft, "GatherBlockQuantized", 3, 4, lowerGatherBlockQuantized},
};

} // namespace

ArrayRef<OperatorInfo> fusedOperators() { return kTable; }

} // namespace moec::raise
