//===- MultiHeadAttention.cpp - com.microsoft's attention of encoders ------===//
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "passes/raise/ops/Heads.h"

using namespace mlir;

namespace moec::raise {
namespace {

/// What MultiHeadAttention and com.microsoft's Attention have in common.
struct MultiHead {
  Node &node;
  Emitter &e;
  int64_t heads;
  Attend attend;

  explicit MultiHead(Node &node)
      : node(node), e(node.emitter), heads(node.intAttr("num_heads", 0)) {}

  LogicalResult check() {
    if (heads < 1)
      return node.refuse("num_heads must be positive, but it is ") << heads;
    return success();
  }

  /// Scale, causality, padding and bias, then the result.
  LogicalResult finish(unsigned paddingInput, unsigned biasInput) {
    attend.setScale(e, node.floatAttr("scale", 0));
    if (node.intAttr("unidirectional", 0)) {
      attend.right = 0;
      OpFoldResult offset = e.sub(attend.k.shape[2], attend.q.shape[1]);
      attend.qOffsets = perRow(e, attend.q.shape[0], offset);
    }
    if (node.has(biasInput) && failed(attend.setMask(node, node.in(biasInput))))
      return failure();
    if (!node.has(paddingInput))
      node.ignore({"mask_filter_value"});
    if (node.has(paddingInput) && failed(addPadding(node.in(paddingInput))))
      return failure();
    return node.set(0, mergeHeads(e, attend.emit(e)));
  }

  /// A padded key is not forbidden: mask_filter_value is added to its score.
  LogicalResult addPadding(Tensor mask) {
    OpFoldResult batch = attend.q.shape[0], keys = attend.k.shape[2];
    Type type = attend.q.elementType;
    double filter = node.floatAttr("mask_filter_value", -10000);
    bool isLength = mask.rank() == 1;
    if (isLength && !e.equal(mask.shape[0], batch))
      return node.refuse("a mask of one dimension must have one length per row");
    if (mask.rank() > 3)
      return node.refuse("the padding mask has up to 3 dimensions, but this one has ")
             << mask.rank();
    Value given = e.value(mask);
    OpFoldResult rows = mask.rank() == 3 ? mask.shape[1] : e.size(1);
    Tensor padding =
        e.generate({batch, e.size(1), rows, keys}, type, [&](Emitter &e, ValueRange at) {
          Value isKept;
          if (isLength) {
            Value key = arith::IndexCastOp::create(e, e.getI32Type(), at[3]);
            isKept = arith::CmpIOp::create(e, arith::CmpIPredicate::slt, key, e.read(given, at[0]));
          } else {
            SmallVector<Value> place{at[0], at[3]};
            if (mask.rank() == 3)
              place.insert(place.begin() + 1, at[2]);
            Value flag = e.read(given, place);
            isKept = arith::CmpIOp::create(e, arith::CmpIPredicate::ne, flag,
                                           e.constant(flag.getType(), 0));
          }
          return arith::SelectOp::create(e, isKept, e.constant(type, 0), e.constant(type, filter))
              .getResult();
        });
    if (!attend.bias) {
      attend.bias = padding;
      return success();
    }
    attend.bias = e.elementwise({*attend.bias, padding}, type, [](Emitter &e, ValueRange v) {
      return arith::AddFOp::create(e, v[0], v[1]).getResult();
    });
    return success();
  }

  /// x plus elements [offset, offset + width) of a bias vector.
  Tensor biased(Tensor x, Tensor bias, OpFoldResult offset) {
    Tensor part = sliceDim(e, bias, 0, offset, x.shape[2]);
    return e.elementwise({x, part}, x.elementType, [](Emitter &e, ValueRange v) {
      return arith::AddFOp::create(e, v[0], v[1]).getResult();
    });
  }
};

//===----------------------------------------------------------------------===//
// MultiHeadAttention
//===----------------------------------------------------------------------===//

enum MhaInput : unsigned {
  kQuery,
  kKey,
  kValue,
  kBias,
  kPadding,
  kScoreBias,
  kPastKey,
  kPastValue,
  kPastLength,
  kIndirection,
  kMhaInputs
};

LogicalResult lowerMultiHeadAttention(Node &node) {
  MultiHead mha(node);
  Emitter &e = node.emitter;
  if (failed(mha.check()))
    return failure();
  if (!node.has(kKey) || !node.has(kValue) || node.in(kQuery).rank() != 3)
    return node.refuse("packed queries, keys and values are not supported");
  if (node.has(kPastLength) || node.has(kIndirection))
    return node.refuse("past_sequence_length and cache_indirection are not supported");
  if (node.wants(3))
    return node.refuse("the output of scores is not supported");
  if (node.has(kPastKey) != node.has(kPastValue))
    return node.refuse("past_key and past_value must be given together");
  Tensor q = node.in(kQuery), k = node.in(kKey), v = node.in(kValue);
  bool isCache = k.rank() == 4; // [B,N,T,D], of an encoder
  if (k.rank() != v.rank() || (k.rank() != 3 && !isCache))
    return node.refuse("key and value have 3 or 4 dimensions, but these have ")
           << k.rank() << " and " << v.rank();
  if (isCache && node.has(kPastKey))
    return node.refuse("a key of 4 dimensions excludes a past");
  if (node.has(kBias)) {
    Tensor bias = node.in(kBias);
    OpFoldResult hidden = q.shape[2];
    q = mha.biased(q, bias, e.size(0));
    if (!isCache) {
      k = mha.biased(k, bias, hidden);
      v = mha.biased(v, bias, e.add(hidden, hidden));
    }
  }
  mha.attend.q = splitHeads(e, q, mha.heads);
  OpFoldResult past = node.has(kPastKey) ? node.in(kPastKey).shape[2] : e.size(0);
  auto cache = [&](Tensor x, unsigned input) {
    if (isCache)
      return x;
    Tensor update = splitHeads(e, x, mha.heads);
    if (!node.has(input))
      return swapHeads(e, update);
    return appendToCache(e, node.in(input), update, e.add(past, update.shape[1]));
  };
  mha.attend.k = cache(k, kPastKey);
  mha.attend.v = cache(v, kPastValue);
  (void)node.set(1, mha.attend.k);
  (void)node.set(2, mha.attend.v);
  return mha.finish(kPadding, kScoreBias);
}

//===----------------------------------------------------------------------===//
// Attention
//===----------------------------------------------------------------------===//

enum AttentionInput : unsigned {
  kX,
  kWeights,
  kWeightsBias,
  kMask,
  kPast,
  kExtraBias,
  kSharedLength,
  kAttentionInputs
};

/// x [B,S,C] times columns [offset, offset + width) of a matrix, plus those of
/// its bias.
Tensor project(Node &node, OpFoldResult offset, OpFoldResult width) {
  Emitter &e = node.emitter;
  Tensor x = node.in(kX), w = sliceDim(e, node.in(kWeights), 1, offset, width);
  OpFoldResult rows = e.mul(x.shape[0], x.shape[1]);
  Type sumType = x.elementType.isF64() ? x.elementType : Type(e.getF32Type());
  Value flat = e.value(e.reshape(x, {rows, x.shape[2]}));
  Value init = e.filled({rows, width}, e.constant(sumType, 0));
  Value sums =
      linalg::MatmulOp::create(e, ValueRange{flat, e.value(w)}, ValueRange{init}).getResult(0);
  Tensor y = e.reshape(e.tensor(sums, sumType, {rows, width}), {x.shape[0], x.shape[1], width});
  if (node.has(kWeightsBias)) {
    Tensor bias = e.cast(sliceDim(e, node.in(kWeightsBias), 0, offset, width), sumType);
    y = e.elementwise({y, bias}, sumType, [](Emitter &e, ValueRange v) {
      return arith::AddFOp::create(e, v[0], v[1]).getResult();
    });
  }
  return e.cast(y, x.elementType);
}

LogicalResult lowerContribAttention(Node &node) {
  MultiHead mha(node);
  Emitter &e = node.emitter;
  if (failed(mha.check()))
    return failure();
  if (node.intAttr("do_rotary", 0) || node.intAttr("past_present_share_buffer", 0) ||
      node.has(kSharedLength))
    return node.refuse("do_rotary and past_present_share_buffer are not supported");
  node.ignore({"rotary_embedding_dim"});
  if (node.in(kX).rank() != 3 || node.in(kWeights).rank() != 2)
    return node.refuse("the input has 3 dimensions and the weights 2, but these have ")
           << node.in(kX).rank() << " and " << node.in(kWeights).rank();
  OpFoldResult third = e.divide(node.in(kWeights).shape[1], e.size(3));
  SmallVector<OpFoldResult> widths(3, third);
  if (auto sizes = node.intsAttr("qkv_hidden_sizes"); sizes && !sizes->empty()) {
    if (sizes->size() != 3)
      return node.refuse("qkv_hidden_sizes has 3 elements, but this one has ") << sizes->size();
    for (auto [width, size] : llvm::zip(widths, *sizes))
      width = e.size(size);
  }
  Tensor q = project(node, e.size(0), widths[0]);
  Tensor k = project(node, widths[0], widths[1]);
  Tensor v = project(node, e.add(widths[0], widths[1]), widths[2]);
  mha.attend.q = splitHeads(e, q, mha.heads);
  OpFoldResult past = node.has(kPast) ? node.in(kPast).shape[3] : e.size(0);
  auto cache = [&](Tensor x, int64_t half) {
    Tensor update = splitHeads(e, x, mha.heads);
    if (!node.has(kPast))
      return swapHeads(e, update);
    Tensor before = e.squeeze(sliceDim(e, node.in(kPast), 0, e.size(half), e.size(1)), 0);
    return appendToCache(e, before, update, e.add(past, update.shape[1]));
  };
  mha.attend.k = cache(k, 0);
  mha.attend.v = cache(v, 1);
  if (node.wants(1))
    return node.refuse("the output of a present that holds keys and values is not supported");
  return mha.finish(kMask, kExtraBias);
}

const OperatorInfo kTable[] = {
    {kMicrosoft, "Attention", 2, kAttentionInputs, lowerContribAttention},
    {kMicrosoft, "MultiHeadAttention", 1, kMhaInputs, lowerMultiHeadAttention},
};

} // namespace

ArrayRef<OperatorInfo> multiHeadOperators() { return kTable; }

} // namespace moec::raise
