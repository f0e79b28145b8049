#include "lib/inspect/Blocks.h"
#include "lib/inspect/GraphWalk.h"

using namespace mlir;
using namespace moec::inspect;

namespace moec {
namespace {

/// Between the product of queries and keys and the softmax: scales, masks,
/// sinks.
constexpr StringRef kScorePath[] = {"Mul",  "Div",     "Add",    "Sub",  "Where",    "Cast",
                                    "Tanh", "Reshape", "Concat", "Clip", "Identity", "CastLike"};
/// Between the softmax and the product with the values.
constexpr StringRef kWeightPath[] = {"Cast",    "CastLike", "Dropout", "Where",
                                     "Reshape", "Slice",    "Identity"};

/// Whether the node multiplies two computed tensors.
bool isProduct(Operation *op) {
  return operatorOf(op) == "MatMul" && !isWeight(op->getOperand(1)) && !isWeight(op->getOperand(0));
}

/// Whether a score comes from a product through any operand.
bool comesFromProduct(Value value, int depth = 0) {
  Operation *op = value.getDefiningOp();
  if (isProduct(op))
    return true;
  if (!op || depth > 12 || !llvm::is_contained(kScorePath, operatorOf(op)))
    return false;
  return llvm::any_of(op->getOperands(),
                      [&](Value operand) { return comesFromProduct(operand, depth + 1); });
}

bool weighsValues(Value weights) {
  bool found = false;
  forEachUse(weights, kWeightPath, [&](OpOperand &use) {
    found |= use.getOperandNumber() == 0 && isProduct(use.getOwner());
    return !found;
  });
  return found;
}

} // namespace

std::vector<AttentionBlock> findAttentionBlocks(ModuleOp module) {
  std::vector<AttentionBlock> blocks;
  constexpr StringRef fused[] = {"Attention", "GroupQueryAttention", "LinearAttention",
                                 "MultiHeadAttention"};
  module.walk([&](onnx::NodeOp node) {
    if (llvm::is_contained(fused, node.getOpType()))
      blocks.push_back({node, true});
    else if (node.getOpType() == "Softmax" && comesFromProduct(node.getInputs()[0]) &&
             weighsValues(node->getResult(0)))
      blocks.push_back({node, false});
  });
  return blocks;
}

} // namespace moec
