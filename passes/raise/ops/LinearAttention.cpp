//===- LinearAttention.cpp - attention to a recurrent state ----------------===//
//
// Heads are packed: query [B,T,N*D], key [B,T,K*D], value [B,T,M*E], state
// [B,M,D,E]. A window holds the states behind each of the last W tokens, so
// these are computed one after the other.
//
//===----------------------------------------------------------------------===//
#include "dialects/attn/AttnDialect.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "passes/raise/ops/Heads.h"
#include "passes/raise/ops/Helpers.h"

using namespace mlir;

namespace moec::raise {
namespace {

enum Input : unsigned { kQuery, kKey, kValue, kPast, kDecay, kBeta, kInputs };

constexpr int64_t kLargestWindow = 8;

class LinearAttention {
public:
  explicit LinearAttention(Node &node)
      : node(node), e(node.emitter), queryHeads(node.intAttr("q_num_heads", 0)),
        stateHeads(node.intAttr("kv_num_heads", 0)),
        isStandard(node.operation().getDomain().empty()),
        window(isStandard ? 0 : node.intAttr("state_window", 0)) {}

  LogicalResult lower() {
    node.ignore({"chunk_size"}); // changes nothing but speed
    if (failed(check()) || failed(takeHeads()) || failed(takeGates()))
      return failure();
    FailureOr<Tensor> past = takePast();
    if (failed(past))
      return failure();
    if (window)
      return attendInWindow(*past);
    Tokens all = attend(e.size(0), tokens, *past);
    (void)node.set(0, mergeHeads(e, all.result));
    return node.set(1, all.state);
  }

private:
  LogicalResult check() {
    if (queryHeads <= 0 || stateHeads <= 0 ||
        (queryHeads % stateHeads != 0 && (isStandard || stateHeads % queryHeads != 0)))
      return node.refuse("q_num_heads must be a multiple of kv_num_heads, but they are ")
             << queryHeads << " and " << stateHeads;
    Type element = node.in(kQuery).elementType;
    if (node.in(kKey).elementType != element || node.in(kValue).elementType != element)
      return node.refuse("query, key and value must be of one type");
    for (unsigned input = 0; input < node.numInputs(); ++input)
      if (node.has(input) && !node.in(input).isFloat())
        return node.refuse("input ") << input << " must be of floats";
    if (window < 0 || window > kLargestWindow)
      return node.refuse("state_window is 0 to ") << kLargestWindow << ", but it is " << window;
    if (node.in(kQuery).rank() != 3)
      return node.refuse("the query has 3 dimensions, but this one has ") << node.in(kQuery).rank();
    batch = node.in(kQuery).shape[0];
    tokens = node.in(kQuery).shape[1];
    return success();
  }

  /// What is known of the last size of an input.
  std::optional<int64_t> lastSize(unsigned input) {
    ArrayRef<OpFoldResult> sizes = node.in(input).shape;
    return sizes.empty() ? std::nullopt : getConstantIntValue(sizes.back());
  }

  /// An input [B,T,size].
  FailureOr<Tensor> perToken(unsigned input, const Twine &name, OpFoldResult size) {
    return shaped(node, input, name, {batch, tokens, size});
  }

  /// An input [B,T,heads*size] as [B,T,heads,size].
  FailureOr<Tensor> headsOf(unsigned input, StringRef name, int64_t heads) {
    ArrayRef<OpFoldResult> sizes = node.in(input).shape;
    OpFoldResult size = sizes.empty() ? e.size(0) : sizes.back();
    FailureOr<Tensor> x = perToken(input, name, size);
    if (failed(x))
      return failure();
    if (std::optional<int64_t> known = getConstantIntValue(size); known && *known % heads != 0)
      return node.refuse(name + " must be of " + Twine(heads) + " heads, but its size is ")
             << *known;
    return splitHeads(e, *x, heads);
  }

  LogicalResult takeHeads() {
    FailureOr<Tensor> query = headsOf(kQuery, "the query", queryHeads);
    FailureOr<Tensor> value = headsOf(kValue, "the value", stateHeads);
    if (failed(query) || failed(value))
      return failure();
    std::optional<int64_t> size = getConstantIntValue(query->shape[3]);
    if (!size || *size == 0)
      return node.refuse("the size of a query head must be known and positive");
    depth = *size;
    int64_t keyHeads = countKeyHeads();
    FailureOr<Tensor> key = perToken(kKey, "the key", e.size(keyHeads * depth));
    if (failed(key))
      return failure();
    q = *query, k = splitHeads(e, *key, keyHeads), v = *value;
    scale = node.floatAttr("scale", 0);
    if (scale == 0)
      scale = 1 / std::sqrt(double(depth));
    return success();
  }

  /// ONNX's keys have a head for every state; ONNX Runtime's may have fewer.
  int64_t countKeyHeads() {
    std::optional<int64_t> size = lastSize(kKey);
    bool hasOwn =
        !isStandard && size && *size > 0 && *size % depth == 0 && stateHeads % (*size / depth) == 0;
    return hasOwn ? *size / depth : stateHeads;
  }

  /// A decay for every row of a state or every state, a beta for every state or
  /// all, as the rule has them.
  LogicalResult takeGates() {
    StringRef rule = node.stringAttr("update_rule", "gated_delta");
    if (!llvm::is_contained({"linear", "gated", "delta", "gated_delta"}, rule))
      return node.refuse("update_rule '" + rule + "' is unknown");
    for (auto [input, name, isNeeded] : {std::tuple(kDecay, "decay", rule.starts_with("gated")),
                                         std::tuple(kBeta, "beta", rule.ends_with("delta"))})
      if (node.has(input) != isNeeded)
        return node.refuse("update_rule '" + rule + (isNeeded ? "' needs " : "' has no ") + name);
    FailureOr<std::optional<Tensor>> decays =
        gate(kDecay, "decay", {stateHeads * depth, stateHeads});
    FailureOr<std::optional<Tensor>> betas = gate(kBeta, "beta", {stateHeads, 1});
    if (failed(decays) || failed(betas))
      return failure();
    if (*decays)
      decay = splitHeads(e, **decays, stateHeads);
    beta = *betas;
    return success();
  }

  /// An input that may be absent [B,T,G], G one of `sizes`.
  FailureOr<std::optional<Tensor>> gate(unsigned input, StringRef name, ArrayRef<int64_t> sizes) {
    if (!node.has(input))
      return std::optional<Tensor>();
    std::optional<int64_t> size = lastSize(input);
    if (!size || !llvm::is_contained(sizes, *size)) {
      InFlightDiagnostic error = node.refuse(name + " must be of the size ");
      error << sizes[0] << " or " << sizes[1];
      if (size)
        error << ", but it is " << *size;
      return error;
    }
    return perToken(input, name, e.size(*size));
  }

  /// [B,M,D,E]: the input's, its last of a window, or zeros.
  FailureOr<Tensor> takePast() {
    Scalars shape{batch, e.size(stateHeads), e.size(depth), v.shape[3]};
    if (!node.has(kPast)) {
      Type type = typeOfAbsentState();
      return e.tensor(e.filled(shape, e.constant(type, 0)), type, shape);
    }
    if (!window)
      return shaped(node, kPast, "past_state", shape);
    shape.insert(shape.begin(), e.size(window));
    FailureOr<Tensor> past = shaped(node, kPast, "past_state", shape);
    if (failed(past))
      return failure();
    return e.squeeze(sliceDim(e, *past, 0, e.size(window - 1), e.size(1)), 0);
  }

  /// That of the present state where the model states one.
  Type typeOfAbsentState() {
    auto declared = dyn_cast<ShapedType>(
        node.numOutputs() > 1 ? node.operation().getResult(1).getType() : Type());
    return declared ? declared.getElementType() : q.elementType;
  }

  struct Tokens {
    Tensor result, state;
  };

  /// Tokens [from, from + count) behind `state`.
  Tokens attend(OpFoldResult from, OpFoldResult count, Tensor state) {
    auto part = [&](Tensor x) { return e.value(sliceDim(e, std::move(x), 1, from, count)); };
    auto op = attn::LinearAttentionOp::create(e, part(q), part(k), part(v), e.value(state),
                                              decay ? part(*decay) : Value(),
                                              beta ? part(*beta) : Value(), APFloat(scale));
    Scalars shape{batch, count, e.size(std::max(queryHeads, stateHeads)), v.shape[3]};
    return {e.tensor(op.getResult(), q.elementType, shape),
            e.tensor(op.getPresent(), state.elementType, state.shape)};
  }

  /// Slot j of W holds the state behind token T - W + j, zeros without one.
  LogicalResult attendInWindow(Tensor state) {
    Scalars shape{batch, tokens, e.size(std::max(queryHeads, stateHeads)), v.shape[3]};
    Value result = e.empty(shape, q.elementType);
    Scalars slots = state.shape;
    slots.insert(slots.begin(), e.size(window));
    Value states = e.empty(slots, state.elementType);
    OpFoldResult from = e.size(0);
    for (int64_t slot = 0; slot < window; ++slot) {
      OpFoldResult behind = e.sub(e.add(tokens, e.size(slot + 1)), e.size(window));
      OpFoldResult to = e.max(behind, e.size(0));
      if (!e.equal(from, to)) {
        Tokens part = attend(from, e.sub(to, from), state);
        result = insert(part.result, result, 1, from);
        state = part.state;
      }
      Value exists = e.less(e.index(0), e.index(behind));
      states = insert(e.unsqueeze(orZeros(state, exists), 0), states, 0, e.size(slot));
      from = to;
    }
    (void)node.set(0, mergeHeads(e, e.tensor(result, q.elementType, shape)));
    return node.set(1, e.tensor(states, state.elementType, slots));
  }

  Tensor orZeros(Tensor state, Value exists) {
    return e.elementwise({state}, state.elementType, [&](Emitter &e, ValueRange v) {
      return e.select(exists, v[0], e.constant(v[0].getType(), 0));
    });
  }

  /// `part` written into `whole` from `offset` of a dimension on.
  Value insert(Tensor part, Value whole, int64_t dim, OpFoldResult offset) {
    SmallVector<OpFoldResult> offsets(part.rank(), e.size(0)), strides(part.rank(), e.size(1));
    offsets[dim] = offset;
    return tensor::InsertSliceOp::create(e, e.value(part), whole, offsets, part.shape, strides);
  }

  Node &node;
  Emitter &e;
  int64_t queryHeads, stateHeads;
  /// Of the domain without com.microsoft's extensions.
  bool isStandard;
  int64_t window, depth = 0;
  double scale = 0;
  OpFoldResult batch, tokens;
  Tensor q, k, v;
  std::optional<Tensor> decay, beta;
};

LogicalResult lowerLinearAttention(Node &node) { return LinearAttention(node).lower(); }

const OperatorInfo kTable[] = {
    {"", "LinearAttention", 3, kInputs, lowerLinearAttention, 27},
    {kMicrosoft, "LinearAttention", 3, kInputs, lowerLinearAttention},
};

} // namespace

ArrayRef<OperatorInfo> linearAttentionOperators() { return kTable; }

} // namespace moec::raise
