//===- GroupQueryAttention.cpp - com.microsoft's attention of decoders -----===//
//
// Rows are padded on the right. `seqlens_k`[b] + 1 positions of row b are
// valid after this call; before it there were S fewer, or none when S is the
// total length (a first prompt, whose rows may be shorter than S).
//
//===----------------------------------------------------------------------===//
#include "dialects/attn/AttnDialect.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "passes/raise/ops/Heads.h"
#include "passes/raise/ops/Rotary.h"

using namespace mlir;

namespace moec::raise {
namespace {

enum Input : unsigned {
  kQuery,
  kKey,
  kValue,
  kPastKey,
  kPastValue,
  kSeqlens,
  kTotal,
  kCos,
  kSin,
  kPositions,
  kBias,
  kSink,
  kKeyScale,
  kValueScale,
  kQueryNorm,
  kKeyNorm,
  kInputs
};

class GroupQueryAttention {
public:
  explicit GroupQueryAttention(Node &node)
      : node(node), e(node.emitter), heads(node.intAttr("num_heads", 0)),
        kvHeads(node.intAttr("kv_num_heads", 0)) {}

  LogicalResult lower() {
    if (failed(check()) || failed(takeHeads()))
      return failure();
    normalizeHeads();
    if (failed(takeLengths()) || failed(rotateHeads()))
      return failure();
    Attend attend;
    attend.q = q;
    attend.k = append(kPastKey, k);
    attend.v = append(kPastValue, v);
    attend.setScale(e, node.floatAttr("scale", 0));
    if (failed(takeBias(attend)))
      return failure();
    attend.kvLengths = total;
    attend.qOffsets = past;
    attend.softcap = node.floatAttr("softcap", 0);
    int64_t window = node.intAttr("local_window_size", -1);
    attend.left = window > 0 ? window - 1 : -1;
    attend.right = node.intAttr("causal", 1) ? 0 : -1;
    attend.sink = sink();
    (void)node.set(0, mergeHeads(e, attend.emit(e)));
    (void)node.set(1, attend.k);
    return node.set(2, attend.v);
  }

private:
  LogicalResult check() {
    if (heads <= 0 || kvHeads <= 0 || heads % kvHeads != 0)
      return node.refuse("num_heads must be a multiple of kv_num_heads, but they are ")
             << heads << " and " << kvHeads;
    for (unsigned input : {kSeqlens, kTotal})
      if (!node.has(input))
        return node.refuse("input ") << input << " is missing";
    for (StringRef name : {"k_quant_type", "v_quant_type"})
      if (node.stringAttr(name, "NONE") != "NONE")
        return node.refuse(name + " " + node.stringAttr(name, "") +
                           ": quantised caches are not supported");
    if (node.has(kKeyScale) || node.has(kValueScale))
      return node.refuse("quantised caches are not supported");
    node.ignore({"kv_cache_bit_width"}); // of a quantised cache
    if (node.intAttr("sliding_window_cache", 0))
      return node.refuse("sliding_window_cache is not supported");
    if (node.wants(3))
      return node.refuse("the output of scores is not supported");
    node.ignore({"qk_output"});
    if (node.has(kPastKey) != node.has(kPastValue))
      return node.refuse("past_key and past_value must be given together");
    return success();
  }

  /// q [B,S,N,D], k and v [B,S,M,D], from separate inputs or one packed.
  LogicalResult takeHeads() {
    Tensor query = node.in(kQuery);
    if (query.rank() != 3)
      return node.refuse("the query has 3 dimensions, but this one has ") << query.rank();
    if (node.has(kKey) != node.has(kValue))
      return node.refuse("key and value must be given together");
    if (!node.has(kKey)) {
      Tensor packed = splitHeads(e, query, heads + 2 * kvHeads);
      q = sliceDim(e, packed, 2, e.size(0), e.size(heads));
      k = sliceDim(e, packed, 2, e.size(heads), e.size(kvHeads));
      v = sliceDim(e, packed, 2, e.size(heads + kvHeads), e.size(kvHeads));
      return success();
    }
    if (node.in(kKey).rank() != 3 || node.in(kValue).rank() != 3)
      return node.refuse("key and value have 3 dimensions, but these have ")
             << node.in(kKey).rank() << " and " << node.in(kValue).rank();
    q = splitHeads(e, query, heads);
    k = splitHeads(e, node.in(kKey), kvHeads);
    v = splitHeads(e, node.in(kValue), kvHeads);
    return success();
  }

  void normalizeHeads() {
    APFloat epsilon(node.floatAttr("qk_norm_epsilon", 1e-6));
    auto normalize = [&](Tensor &x, unsigned input) {
      if (!node.has(input))
        return;
      auto op =
          attn::RmsNormOp::create(e, e.value(x), e.value(node.in(input)), /*axis=*/3, epsilon);
      x = e.tensor(op, x.elementType, x.shape);
    };
    normalize(q, kQueryNorm);
    normalize(k, kKeyNorm);
  }

  /// `total` and `past` [B]: valid positions after and before.
  LogicalResult takeLengths() {
    OpFoldResult batch = q.shape[0], sequence = q.shape[1];
    FailureOr<Scalars> length = e.elementsOf(node.in(kTotal));
    if (failed(length) || length->size() != 1)
      return node.refuse("total_sequence_length must be one integer");
    OpFoldResult pastSize = node.has(kPastKey) ? node.in(kPastKey).shape[2] : e.size(0);
    present = e.max(pastSize, length->front());
    Value seqlens = e.value(e.reshape(node.in(kSeqlens), {batch}));
    Value isFirst = e.createOrFold<arith::CmpIOp>(arith::CmpIPredicate::eq, e.index(sequence),
                                                  e.index(length->front()));
    total = perRow(e, batch, [&](Emitter &e, Value row) -> Value {
      Value last = arith::ExtSIOp::create(e, e.getI64Type(), e.read(seqlens, row));
      Value count = arith::AddIOp::create(e, last, e.constant(e.getI64Type(), 1));
      Value room = arith::IndexCastOp::create(e, e.getI64Type(), e.index(present));
      e.check(arith::CmpIOp::create(e, arith::CmpIPredicate::ule, count, room),
              "seqlens_k is outside the cache");
      return count;
    });
    past = perRow(e, batch, [&](Emitter &e, Value row) -> Value {
      Value added = arith::IndexCastOp::create(e, e.getI64Type(), e.index(sequence));
      Value before = arith::SubIOp::create(e, e.read(total, row), added);
      Value zero = e.constant(e.getI64Type(), 0);
      Value isValid = arith::CmpIOp::create(e, arith::CmpIPredicate::sge, before, zero);
      e.check(arith::OrIOp::create(e, isFirst, isValid),
              "seqlens_k is less than the number of new positions");
      return arith::SelectOp::create(e, isFirst, zero, before);
    });
    return success();
  }

  LogicalResult rotateHeads() {
    bool interleaved = node.intAttr("rotary_interleaved", 0);
    if (!node.intAttr("do_rotary", 0))
      return success();
    if (!node.has(kCos) || !node.has(kSin))
      return node.refuse("do_rotary needs cos_cache and sin_cache");
    Type i64 = e.getIntegerType(64, /*isSigned=*/true);
    Tensor positions;
    if (node.has(kPositions))
      positions = node.in(kPositions);
    else
      positions =
          e.generate({q.shape[0], q.shape[1]}, i64, [&](Emitter &e, ValueRange at) -> Value {
            Value step = arith::IndexCastOp::create(e, e.getI64Type(), at[1]);
            return arith::AddIOp::create(e, e.read(past, at[0]), step);
          });
    q = rotate(e, q, node.in(kCos), node.in(kSin), positions, interleaved);
    k = rotate(e, k, node.in(kCos), node.in(kSin), positions, interleaved);
    return success();
  }

  Tensor append(unsigned input, Tensor update) {
    std::optional<Tensor> cache = node.has(input) ? std::optional(node.in(input)) : std::nullopt;
    return appendToCache(e, cache, update, present, past);
  }

  LogicalResult takeBias(Attend &attend) {
    if (!node.has(kBias))
      return success();
    if (node.in(kBias).rank() != 4)
      return node.refuse("attention_bias has 4 dimensions, but this one has ")
             << node.in(kBias).rank();
    return attend.setMask(node, node.in(kBias));
  }

  /// head_sink, or the zeros that smooth_softmax means.
  std::optional<Tensor> sink() {
    bool isSmooth = node.intAttr("smooth_softmax", 0) > 0;
    if (node.has(kSink))
      return node.in(kSink);
    if (!isSmooth)
      return std::nullopt;
    Type type = q.elementType;
    return e.tensor(e.filled({e.size(heads)}, e.constant(type, 0)), type, {e.size(heads)});
  }

  Node &node;
  Emitter &e;
  int64_t heads, kvHeads;
  Tensor q, k, v;
  OpFoldResult present;
  Value total, past;
};

LogicalResult lowerGroupQueryAttention(Node &node) { return GroupQueryAttention(node).lower(); }

const OperatorInfo kTable[] = {
    {kMicrosoft, "GroupQueryAttention", 1, kInputs, lowerGroupQueryAttention},
};

} // namespace

ArrayRef<OperatorInfo> groupQueryOperators() { return kTable; }

} // namespace moec::raise
