//===- Experts.cpp - com.microsoft's MoE and QMoE --------------------------===//
#include "dialects/moe/MoeDialect.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "passes/Passes.h"
#include "passes/raise/Operators.h"

using namespace mlir;

namespace moec::raise {
namespace {

using moe::Function;
using moe::Gate;

/// Where ONNX Runtime's CPU and CUDA operators differ, the model is raised
/// with the meaning that the user states; unstated is ORT's CPU.
enum class Contrib { unstated, cpu, cuda };
Contrib contribSemantics(Node &node) {
  auto module = node.operation()->getParentOfType<ModuleOp>();
  auto stated = module->getAttrOfType<StringAttr>(kContribSemanticsAttr);
  if (!stated)
    return Contrib::unstated;
  return stated.getValue() == "ort-cuda" ? Contrib::cuda : Contrib::cpu;
}

/// The inputs that belong to one matrix.
struct MatrixInputs {
  unsigned weights, scales, bias, zeroPoints;
};
constexpr unsigned kNone = ~0u;
constexpr unsigned kX = 0, kLogits = 1, kRouterWeights = 14;
constexpr MatrixInputs kMoe[] = {{2, kNone, 3, kNone}, {4, kNone, 5, kNone}, {6, kNone, 7, kNone}};
constexpr MatrixInputs kQMoe[] = {{2, 3, 4, 11}, {5, 6, 7, 12}, {8, 9, 10, 13}};

class Experts {
public:
  Experts(Node &node, bool quantised)
      : node(node), e(node.emitter), contrib(contribSemantics(node)), quantised(quantised),
        inputs(quantised ? kQMoe : kMoe) {}

  LogicalResult lower() {
    if (failed(checkShapes()) || failed(takeActivation()) || (quantised && failed(takeQuant())))
      return failure();
    FailureOr<moe::RouterAttr> router = takeRouter();
    if (failed(router))
      return failure();
    Tensor x = node.in(kX);
    OpFoldResult hidden = x.shape.back(), tokens = e.product(ArrayRef(x.shape).drop_back());
    Tensor rows = e.reshape(x, {tokens, hidden});
    Value values;
    if (quantised && node.has(kRouterWeights))
      values = e.value(node.in(kRouterWeights));
    auto route = moe::RouteOp::create(e, e.value(node.in(kLogits)), Value(), values, *router);
    moe::Matrix in = matrix(0), out = matrix(1), up = matrix(2);
    auto op = moe::ExpertsOp::create(e, e.value(rows), route.getIds(), route.getWeights(),
                                     in.weights, out.weights, up.weights, in.bias, out.bias,
                                     up.bias, in.scales, out.scales, up.scales, in.zeroPoints,
                                     out.zeroPoints, up.zeroPoints, activation, quant,
                                     /*scale_input=*/false, node.intAttr("accuracy_level", 0) == 4);
    Tensor y = e.tensor(op, x.elementType, {tokens, hidden});
    return node.set(0, e.reshape(y, x.shape));
  }

private:
  bool has(unsigned input) const { return input != kNone && node.has(input); }
  /// A size, or kDynamic.
  int64_t sizeOf(unsigned input, unsigned dim) {
    return getConstantIntValue(node.in(input).shape[dim]).value_or(ShapedType::kDynamic);
  }

  LogicalResult checkShapes() {
    Tensor x = node.in(kX);
    if (x.rank() != 2 && x.rank() != 3)
      return node.refuse("the input has 2 or 3 dimensions, but this one has ") << x.rank();
    if (int64_t shared = node.intAttr("num_shared_experts", 0))
      return node.refuse("num_shared_experts ") << shared << " is not supported";
    if (node.in(kLogits).rank() != 2)
      return node.refuse("the router's logits have 2 dimensions, but these have ")
             << node.in(kLogits).rank();
    for (unsigned i = 0; i < 3; ++i)
      if (has(inputs[i].weights) && node.in(inputs[i].weights).rank() != 3)
        return node.refuse("the experts' weights have 3 dimensions, but input ")
               << inputs[i].weights << " has " << node.in(inputs[i].weights).rank();
    for (const MatrixInputs &matrix : inputs)
      for (unsigned input : {matrix.scales, matrix.bias, matrix.zeroPoints})
        if (has(input) && !has(matrix.weights))
          return node.refuse("input ") << input << " belongs to the weights of input "
                                       << matrix.weights << ", which are missing";
    return success();
  }

  LogicalResult takeActivation() {
    StringRef type = node.stringAttr("activation_type", "relu");
    bool isSwiglu = type == "swiglu";
    // ONNX Runtime's gelu is the tanh form.
    auto function = llvm::StringSwitch<std::optional<Function>>(type)
                        .Case("relu", Function::relu)
                        .Case("gelu", Function::gelu_tanh)
                        .Cases({"silu", "swiglu"}, Function::silu)
                        .Case("identity", Function::identity)
                        .Default(std::nullopt);
    if (!function)
      return node.refuse("activation_type ") << type << " is unknown";
    Gate gate = has(inputs[2].weights) ? Gate::separate : Gate::none;
    int64_t fusion = node.intAttr("swiglu_fusion", 0);
    if (isSwiglu && (fusion == 1 || fusion == 2)) {
      if (gate == Gate::separate)
        return node.refuse("swiglu_fusion ") << fusion << " excludes fc3";
      gate = fusion == 1 ? Gate::interleaved : Gate::halves;
    }
    if (isSwiglu && gate == Gate::none)
      return node.refuse("swiglu needs fc3 or swiglu_fusion 1 or 2, but it is ") << fusion;
    if (!isSwiglu)
      node.ignore({"activation_alpha", "activation_beta", "swiglu_limit"});
    APFloat one(1.0), zero(0.0);
    APFloat limit = isSwiglu && node.hasAttr("swiglu_limit")
                        ? APFloat(node.floatAttr("swiglu_limit", 0))
                        : moe::highest();
    activation = moe::ActivationAttr::get(
        e.getContext(), *function, gate,
        isSwiglu ? APFloat(node.floatAttr("activation_alpha", 1)) : one,
        isSwiglu ? APFloat(node.floatAttr("activation_beta", 0)) : zero, limit);
    return success();
  }

  LogicalResult takeQuant() {
    if (node.stringAttr("quant_type", "int") != "int")
      return node.refuse("quant_type ") << node.stringAttr("quant_type", "") << " is not supported";
    int64_t prepacked = node.intAttr("weights_prepacked", -1);
    if (prepacked == 1 || (prepacked != 0 && contrib == Contrib::cuda))
      return node.refuse("the weights are in the order of ONNX Runtime's CUDA kernels, which is "
                         "not documented; export with weights_prepacked=0");
    if (prepacked != 0 && contrib == Contrib::unstated)
      return node.refuse("without weights_prepacked=0, exports for CPU and CUDA differ in the "
                         "order of the weights and look alike; state which this is by "
                         "--contrib-semantics");
    for (unsigned input = kRouterWeights + 1; input < node.numInputs(); ++input)
      if (node.has(input))
        return node.refuse("input ")
               << input << " (scales of activations or experts) is not supported";
    int64_t bits = node.intAttr("expert_weight_bits", 4);
    if (bits != 2 && bits != 4 && bits != 8)
      return node.refuse("expert_weight_bits is 2, 4 or 8, but it is ") << bits;
    quant = moe::QuantAttr::get(e.getContext(), bits,
                                std::max<int64_t>(node.intAttr("block_size", 0), 0));
    return success();
  }

  FailureOr<moe::RouterAttr> takeRouter() {
    int64_t topK = node.intAttr("k", 1);
    bool normalize = node.intAttr("normalize_routing_weights", 0),
         isCuda = contrib == Contrib::cuda;
    auto score = moe::Score::softmax;
    auto weights = normalize ? moe::Normalize::sum : moe::Normalize::keep;
    APFloat least = moe::lowest();
    // The CPU operators sort pairs of score and index, descending.
    auto ties = isCuda ? moe::Ties::lower : moe::Ties::higher;
    if (node.intAttr("use_sparse_mixer", 0)) {
      if (topK != 2)
        return node.refuse("the sparse mixer needs k = 2, but it is ") << topK;
      score = moe::Score::sparse_mixer;
      weights = moe::Normalize::keep;
      ties = moe::Ties::lower; // only CUDA has the mixer
    } else if (quantised && !isCuda) {
      // QMoE on CPU selects by logits; their weights are another input's
      // values, or a softmax over the selected ones, normalised or not.
      score = moe::Score::raw;
      if (node.has(kRouterWeights))
        least = APFloat(1e-8);
      else
        weights = moe::Normalize::softmax;
    }
    if (node.has(kRouterWeights) && quantised && (isCuda || score == moe::Score::sparse_mixer))
      return node.refuse("router_weights have no meaning here: ONNX Runtime's CUDA operator "
                         "ignores them");
    int64_t experts = sizeOf(kLogits, 1);
    if (topK < 1 || (!ShapedType::isDynamic(experts) && topK > experts))
      return node.refuse("k must be 1 to ") << experts << ", but it is " << topK;
    return moe::RouterAttr::get(e.getContext(), topK, score, /*groups=*/1, /*kept_groups=*/1,
                                moe::GroupScore::max, moe::Masked::neg_inf, weights,
                                /*epsilon=*/APFloat(0.0), /*scale=*/APFloat(1.0), least,
                                /*jitter=*/APFloat(0.01), ties);
  }

  /// Whether weights are [E,H,F*I] and [E,I,H], as early exporters wrote them.
  bool isLegacy() {
    int64_t hidden = getConstantIntValue(node.in(kX).shape.back()).value_or(ShapedType::kDynamic);
    int64_t rows = sizeOf(inputs[1].weights, 1), columns = sizeOf(inputs[1].weights, 2);
    if (quantised || ShapedType::isDynamic(hidden))
      return false;
    if (rows != columns)
      return rows != hidden && columns == hidden;
    return activation.isFused() && sizeOf(inputs[0].weights, 1) == hidden;
  }

  moe::Matrix matrix(unsigned i) {
    MatrixInputs input = inputs[i];
    moe::Matrix matrix;
    if (!has(input.weights))
      return matrix;
    Tensor weights = node.in(input.weights);
    matrix.weights = e.value(isLegacy() ? e.transpose(weights, {0, 2, 1}) : weights);
    if (has(input.bias))
      matrix.bias = e.value(node.in(input.bias));
    if (has(input.scales)) {
      Tensor scales = node.in(input.scales);
      matrix.scales = e.value(scales.rank() == 2 ? e.unsqueeze(scales, 2) : scales);
    }
    if (has(input.zeroPoints))
      matrix.zeroPoints = e.value(node.in(input.zeroPoints));
    return matrix;
  }

  Node &node;
  Emitter &e;
  Contrib contrib;
  bool quantised;
  ArrayRef<MatrixInputs> inputs;
  moe::ActivationAttr activation;
  moe::QuantAttr quant;
};

LogicalResult requireInputs(Node &node, ArrayRef<unsigned> inputs) {
  for (unsigned input : inputs)
    if (!node.has(input))
      return node.refuse("input ") << input << " is missing";
  return success();
}

LogicalResult lowerMoe(Node &node) {
  return failed(requireInputs(node, 4)) ? failure() : Experts(node, /*quantised=*/false).lower();
}

LogicalResult lowerQMoe(Node &node) {
  return failed(requireInputs(node, {3, 5, 6})) ? failure()
                                                : Experts(node, /*quantised=*/true).lower();
}

const OperatorInfo kTable[] = {
    {kMicrosoft, "MoE", 3, 8, lowerMoe},
    {kMicrosoft, "QMoE", 3, 21, lowerQMoe},
};

} // namespace

ArrayRef<OperatorInfo> expertOperators() { return kTable; }

} // namespace moec::raise

void moec::stateContribSemantics(ModuleOp module, StringRef semantics) {
  if (!semantics.empty())
    module->setAttr(kContribSemanticsAttr, StringAttr::get(module.getContext(), semantics));
}
