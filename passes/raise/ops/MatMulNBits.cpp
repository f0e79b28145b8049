//===- MatMulNBits.cpp - products with quantised weights -------------------===//
#include "dialects/moe/MoeDialect.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "passes/raise/ops/Heads.h"

using namespace mlir;

namespace moec::raise {
namespace {

enum Input : unsigned { kA, kB, kScales, kZeroPoints, kGroupIndex, kBias, kInputs };

/// A product with one matrix is a grouped one with one group.
class MatMulNBits {
public:
  explicit MatMulNBits(Node &node)
      : node(node), e(node.emitter), depth(node.intAttr("K", 0)), columns(node.intAttr("N", 0)),
        bits(node.intAttr("bits", 4)), block(node.intAttr("block_size", 0)) {}

  LogicalResult lower() {
    if (failed(check()))
      return failure();
    Tensor a = node.in(kA);
    Scalars outer(ArrayRef(a.shape).drop_back());
    OpFoldResult rows = e.product(outer);
    Tensor x = e.reshape(a, {rows, e.size(depth)});
    Value bias;
    if (node.has(kBias))
      bias = e.value(e.reshape(node.in(kBias), {e.size(1), e.size(columns)}));
    FailureOr<Value> zeroPoints = takeZeroPoints();
    if (failed(zeroPoints))
      return failure();
    Value none;
    auto op = moe::GroupedMatmulOp::create(
        e, e.value(x), weights(), none, none, none, none, bias, perBlock(kScales), *zeroPoints,
        none, none, none, none, a.elementType, /*slots_per_row=*/1, moe::ActivationAttr(),
        moe::QuantAttr::get(e.getContext(), bits, block), node.intAttr("accuracy_level", 0) == 4);
    outer.push_back(e.size(columns));
    return node.set(0, e.reshape(e.tensor(op, a.elementType, {rows, e.size(columns)}), outer));
  }

private:
  LogicalResult check() {
    if (depth < 1 || columns < 1)
      return node.refuse("K and N must be positive, but they are ") << depth << " and " << columns;
    if (bits != 2 && bits != 4 && bits != 8)
      return node.refuse("bits is 2, 4 or 8, but it is ") << bits;
    if (block < 16 || !llvm::isPowerOf2_64(block))
      return node.refuse("block_size is a power of two from 16, but it is ") << block;
    if (node.has(kGroupIndex))
      return node.refuse("g_idx is not supported");
    if (node.intAttr("weight_prepacked", 0))
      return node.refuse("weights in the order of a kernel are not supported");
    return success();
  }

  int64_t blocks() const { return llvm::divideCeil(depth, block); }
  int64_t bytesFor(int64_t elements) const { return llvm::divideCeil(elements * bits, 8); }

  /// [1,N,bytes of K]; the last block is padded in the file.
  Value weights() {
    OpFoldResult padded = e.size(blocks() * bytesFor(block));
    Tensor rows = e.reshape(node.in(kB), {e.size(1), e.size(columns), padded});
    return e.value(sliceDim(e, rows, 2, e.size(0), e.size(bytesFor(depth))));
  }

  /// [1,N,blocks], however the file flattens it.
  Value perBlock(unsigned input) {
    return e.value(e.reshape(node.in(input), {e.size(1), e.size(columns), e.size(blocks())}));
  }

  FailureOr<Value> takeZeroPoints() {
    if (!node.has(kZeroPoints))
      return Value();
    Tensor given = node.in(kZeroPoints);
    if (given.isFloat())
      return perBlock(kZeroPoints);
    if (!given.elementType.isInteger(8))
      return node.refuse("zero points are bytes or floats, but these are ") << given.elementType;
    return e.value(e.reshape(given, {e.size(1), e.size(columns), e.size(bytesFor(blocks()))}));
  }

  Node &node;
  Emitter &e;
  int64_t depth, columns, bits, block;
};

LogicalResult lowerMatMulNBits(Node &node) { return MatMulNBits(node).lower(); }

const OperatorInfo kTable[] = {
    {kMicrosoft, "MatMulNBits", 3, kInputs, lowerMatMulNBits},
};

} // namespace

ArrayRef<OperatorInfo> quantisedMatmulOperators() { return kTable; }

} // namespace moec::raise
