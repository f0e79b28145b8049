//===- Attention.cpp - ONNX's Attention ------------------------------------===//
#include "dialects/attn/AttnDialect.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "passes/raise/ops/Heads.h"

using namespace mlir;

namespace moec::raise {
namespace {

enum Input : unsigned { kQ, kK, kV, kMask, kPastKey, kPastValue, kValidKeys, kInputs };

class OnnxAttention {
public:
  explicit OnnxAttention(Node &node) : node(node), e(node.emitter) {}

  LogicalResult lower() {
    if (failed(check()) || failed(takeHeads()))
      return failure();
    attend.softcap = node.floatAttr("softcap", 0);
    attend.left = node.intAttr("left_window_size", -1);
    attend.right = node.intAttr("right_window_size", -1);
    if (node.intAttr("is_causal", 0))
      attend.right = 0;
    attend.setScale(e, node.floatAttr("scale", 0));
    if (node.has(kMask) && failed(attend.setMask(node, node.in(kMask))))
      return failure();
    takeOffsets();
    Tensor y = attend.emit(e);
    (void)node.set(0, isFlat ? mergeHeads(e, y) : swapHeads(e, y));
    (void)node.set(1, attend.k);
    (void)node.set(2, attend.v);
    return node.wants(3) ? setScores() : success();
  }

private:
  LogicalResult check() {
    isFlat = node.in(kQ).rank() == 3;
    if (!isFlat)
      node.ignore({"q_num_heads", "kv_num_heads"});
    if (!node.wants(3))
      node.ignore({"qk_matmul_output_mode"});
    for (unsigned input : {kQ, kK, kV})
      if (node.in(input).rank() != (isFlat ? 3 : 4))
        return node.refuse("Q, K and V have 3 dimensions or 4, but input ")
               << input << " has " << node.in(input).rank();
    if (isFlat && (!node.hasAttr("q_num_heads") || !node.hasAttr("kv_num_heads")))
      return node.refuse("inputs of 3 dimensions need q_num_heads and kv_num_heads");
    if (node.has(kPastKey) != node.has(kPastValue))
      return node.refuse("past_key and past_value must be given together");
    if (node.has(kPastKey) && node.has(kValidKeys))
      return node.refuse("nonpad_kv_seqlen excludes past_key and past_value");
    // Sums and softmax are f32 at least.
    constexpr int64_t kF64 = 11;
    if (node.intAttr("softmax_precision", 1) == kF64 && !node.in(kQ).elementType.isF64())
      return node.refuse("a softmax in double needs inputs in double");
    return success();
  }

  /// q [B,S,N,D]; k and v as caches [B,M,T,D].
  LogicalResult takeHeads() {
    Tensor q = node.in(kQ);
    attend.q = isFlat ? splitHeads(e, q, node.intAttr("q_num_heads", 1)) : swapHeads(e, q);
    attend.k = takeCache(kK, kPastKey);
    attend.v = takeCache(kV, kPastValue);
    return success();
  }

  Tensor takeCache(unsigned input, unsigned pastInput) {
    Tensor x = node.in(input);
    if (isFlat)
      x = splitHeads(e, x, node.intAttr("kv_num_heads", 1));
    if (!node.has(pastInput))
      return isFlat ? swapHeads(e, x) : x;
    Tensor past = node.in(pastInput);
    Tensor update = isFlat ? x : swapHeads(e, x);
    return appendToCache(e, past, update, e.add(past.shape[2], update.shape[1]));
  }

  /// Where the queries are: behind the past, or at the end of the valid keys.
  void takeOffsets() {
    OpFoldResult batch = attend.q.shape[0], sequence = attend.q.shape[1];
    if (node.has(kPastKey)) {
      attend.qOffsets = perRow(e, batch, node.in(kPastKey).shape[2]);
    } else if (node.has(kValidKeys)) {
      Value valid = e.value(e.reshape(node.in(kValidKeys), {batch}));
      attend.kvLengths = valid;
      attend.qOffsets = perRow(e, batch, [&](Emitter &e, Value row) -> Value {
        Value count = arith::IndexCastOp::create(e, e.getI64Type(), e.index(sequence));
        return arith::SubIOp::create(e, e.read(valid, row), count);
      });
    }
  }

  LogicalResult setScores() {
    int64_t mode = node.intAttr("qk_matmul_output_mode", 0);
    if (mode < 0 || mode > 3)
      return node.refuse("qk_matmul_output_mode is 0 to 3, but it is ") << mode;
    auto optional = [&](std::optional<Tensor> tensor) {
      return tensor ? e.value(*tensor) : Value();
    };
    auto op = attn::ScoresOp::create(e, e.value(attend.q), e.value(attend.k), optional(attend.bias),
                                     optional(attend.mask), attend.kvLengths, attend.qOffsets,
                                     APFloat(attend.scale), attend.left, attend.right,
                                     APFloat(attend.softcap), static_cast<attn::Stage>(mode));
    const Tensor &q = attend.q;
    return node.set(
        3, e.tensor(op, q.elementType, {q.shape[0], q.shape[2], q.shape[1], attend.k.shape[2]}));
  }

  Node &node;
  Emitter &e;
  bool isFlat = false;
  Attend attend;
};

LogicalResult lowerAttention(Node &node) { return OnnxAttention(node).lower(); }

const OperatorInfo kTable[] = {
    {"", "Attention", 3, kInputs, lowerAttention, 23},
};

} // namespace

ArrayRef<OperatorInfo> attentionOperators() { return kTable; }

} // namespace moec::raise
