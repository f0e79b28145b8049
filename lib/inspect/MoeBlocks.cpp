#include "lib/inspect/Blocks.h"
#include "lib/inspect/GraphWalk.h"

#include "mlir/IR/Matchers.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;
using namespace moec::inspect;

namespace moec {
namespace {

/// What exporters do to expert ids on the way to their use.
constexpr StringRef kIdPath[] = {"Reshape", "Unsqueeze", "Squeeze",  "Flatten", "Cast",
                                 "Expand",  "Transpose", "Identity", "Concat",  "Slice",
                                 "Clip",    "Min",       "Max",      "Where",   "Split"};
/// What lies between the router's product and the choice.
constexpr StringRef kScorePath[] = {"Softmax", "Sigmoid", "Add",      "Cast",           "Reshape",
                                    "Squeeze", "Flatten", "Identity", "ScatterElements"};

IntegerAttr integerParameter(onnx::NodeOp node, StringRef name) {
  return node.getParameters().getAs<IntegerAttr>(name);
}

std::optional<int64_t> sizeOf(Value value, int64_t dim) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  if (!type || dim >= type.getRank() || type.isDynamicDim(dim))
    return std::nullopt;
  return type.getDimSize(dim);
}

MoeBlock fusedBlock(onnx::NodeOp node) {
  MoeBlock block{node, MoeForm::Fused, std::nullopt, 1, ""};
  if (node.getInputs().size() > 2)
    block.experts = sizeOf(node.getInputs()[2], 0);
  if (IntegerAttr k = integerParameter(node, "k"))
    block.topK = k.getInt();
  auto isSet = [&](StringRef name) {
    IntegerAttr flag = integerParameter(node, name);
    return flag && flag.getInt() != 0;
  };
  // What QMoE's router does is up to the chosen semantics; the raised op tells.
  if (node.getOpType() == "QMoE")
    return block;
  block.router = isSet("use_sparse_mixer")            ? "sparse mixer"
                 : isSet("normalize_routing_weights") ? "softmax before top-k, renormalised"
                                                      : "softmax before top-k";
  return block;
}

/// The number of experts as the router's product tells it.
std::optional<int64_t> routerWidth(onnx::NodeOp choice) {
  auto product = dyn_cast_or_null<onnx::NodeOp>(sourceOf(choice.getInputs().front(), kScorePath));
  if (!product)
    return std::nullopt;
  if (IntegerAttr n = integerParameter(product, "N"))
    return n.getInt();
  // A graph with types says it at the choice's own input.
  if (auto type = dyn_cast<RankedTensorType>(choice.getInputs().front().getType()))
    return sizeOf(choice.getInputs().front(), type.getRank() - 1);
  if (product.getInputs().size() < 2)
    return std::nullopt;
  Value weight = product.getInputs()[1];
  IntegerAttr transposed = integerParameter(product, "transB");
  return sizeOf(weight, transposed && transposed.getInt() ? 0 : 1);
}

/// Whether a mask of scores comes from another choice, of groups of experts.
bool isChoiceOfGroups(Value mask) {
  constexpr StringRef path[] = {"Not", "Cast", "Reshape", "Expand", "Unsqueeze", "Equal"};
  Operation *scatter = sourceOf(mask, path);
  return operatorOf(scatter) == "ScatterElements" &&
         operatorOf(scatter->getOperand(1).getDefiningOp()) == "TopK";
}

/// Whether weights, maybe reshaped, are divided by their sum.
bool areDividedBySum(Value weights) {
  constexpr StringRef sumPath[] = {"Add", "Cast", "Clip", "Max", "Expand", "Unsqueeze"};
  bool found = false;
  forEachUse(weights, kIdPath, [&](OpOperand &use) {
    Operation *user = use.getOwner();
    found |= operatorOf(user) == "Div" && use.getOperandNumber() == 0 &&
             operatorOf(sourceOf(user->getOperand(1), sumPath)) == "ReduceSum";
    return !found;
  });
  return found;
}

/// The same for the scores of the choice, or those gathered by its indices.
bool isRenormalised(onnx::NodeOp choice) {
  return areDividedBySum(choice->getResult(0)) ||
         llvm::any_of(choice->getResults().back().getUses(), [](OpOperand &use) {
           return operatorOf(use.getOwner()) == "GatherElements" && use.getOperandNumber() == 1 &&
                  areDividedBySum(use.getOwner()->getResult(0));
         });
}

/// What turns logits into the weights of the chosen experts.
std::string routerOf(onnx::NodeOp choice) {
  std::string groups, normalised = isRenormalised(choice) ? ", renormalised" : "";
  for (Operation *op = choice.getInputs().front().getDefiningOp(); op;) {
    StringRef type = operatorOf(op);
    if (type == "Sigmoid" || type == "Softmax")
      return (type.lower() + llvm::Twine(" before top-k") + groups + normalised).str();
    bool isMasked = type == "Where" && isChoiceOfGroups(op->getOperand(0));
    if (isMasked)
      groups = ", in the best groups";
    else if (!llvm::is_contained(kScorePath, type))
      break;
    op = op->getOperand(!isMasked ? 0 : isWeight(op->getOperand(1)) ? 2 : 1).getDefiningOp();
  }
  std::string router;
  forEachUse(choice->getResult(0), kIdPath, [&](OpOperand &use) {
    StringRef user = operatorOf(use.getOwner());
    if (user == "Softmax" || user == "Sigmoid")
      router = user.lower() + " after top-k" + groups;
    return router.empty();
  });
  return router;
}

/// Whether the choice only masks scores for another: groups of experts, or the
/// first of two winners.
bool feedsAnotherChoice(Value mask) {
  constexpr StringRef path[] = {"Unsqueeze", "Expand", "Reshape", "Cast",     "Where",   "Mul",
                                "Not",       "Equal",  "Softmax", "Identity", "Greater", "Sub"};
  bool found = false;
  forEachUse(mask, path, [&](OpOperand &use) {
    StringRef user = operatorOf(use.getOwner());
    found |= user == "TopK" || user == "ArgMax";
    return !found;
  });
  return found;
}

/// The form of the block that uses expert ids, and the first node of it.
struct Use {
  std::optional<MoeForm> form;
  Operation *node = nullptr;
};

Use findUse(onnx::NodeOp choice, Value ids, std::optional<int64_t> &experts) {
  Use result;
  int64_t equals = 0;
  forEachUse(ids, kIdPath, [&](OpOperand &use) {
    auto user = dyn_cast<onnx::NodeOp>(use.getOwner());
    if (!user)
      return false;
    StringRef type = user.getOpType();
    unsigned operand = use.getOperandNumber();
    auto found = [&](MoeForm form) {
      if (!result.form || form == MoeForm::Grouped)
        result = {form, user};
    };
    if ((type == "Gather" || type == "GatherND") && operand == 1 && isWeight(user.getInputs()[0])) {
      if (std::optional<int64_t> size = sizeOf(user.getInputs()[0], 0); size && !experts)
        experts = size;
      found(MoeForm::Gathered);
    } else if (type == "TopK" && operand == 0 && user != choice) {
      found(MoeForm::Grouped);
    } else if (type == "OneHot" && operand == 0) {
      found(MoeForm::Masked);
    } else if (type == "Equal" && integerOf(user.getInputs()[1 - operand])) {
      ++equals;
    } else if (type == "ScatterElements" && operand == 1 &&
               !feedsAnotherChoice(user->getResult(0))) {
      found(MoeForm::Dense);
    }
    return true;
  });
  if (!result.form && equals > 1) {
    result.form = MoeForm::Unrolled;
    experts = equals;
  }
  return result;
}

} // namespace

StringRef describe(MoeForm form) {
  switch (form) {
  case MoeForm::Fused:
    return "one operator";
  case MoeForm::Unrolled:
    return "every expert on every token";
  case MoeForm::Masked:
    return "every expert on the tokens that chose it";
  case MoeForm::Dense:
    return "all experts at once, masked";
  case MoeForm::Gathered:
    return "weights gathered per token";
  case MoeForm::Grouped:
    return "tokens sorted by expert";
  }
  llvm_unreachable("all forms are listed");
}

std::vector<MoeBlock> findMoeBlocks(ModuleOp module) {
  std::vector<MoeBlock> blocks;
  Operation *lastUse = nullptr;
  module.walk([&](onnx::NodeOp node) {
    StringRef type = node.getOpType();
    if (type == "MoE" || type == "QMoE") {
      blocks.push_back(fusedBlock(node));
      return;
    }
    bool isTopK = type == "TopK" && node->getNumResults() == 2 && node.getInputs().size() == 2;
    if (!isTopK && type != "ArgMax")
      return;
    std::optional<int64_t> experts = routerWidth(node);
    Use use = findUse(node, node->getResults().back(), experts);
    if (!use.form)
      return;
    if (use.node && use.node == std::exchange(lastUse, use.node)) {
      blocks.back().topK = *blocks.back().topK + 1;
      blocks.back().router = "one winner after the other";
      return;
    }
    std::optional<int64_t> k = isTopK ? integerOf(node.getInputs()[1]) : 1;
    blocks.push_back({node, *use.form, experts, k, isTopK ? routerOf(node) : ""});
  });
  return blocks;
}

} // namespace moec
