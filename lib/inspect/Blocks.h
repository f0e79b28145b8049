//===- Blocks.h - MoE and attention blocks of an ONNX graph ---------------===//
//
// Found in the graph as it was imported, whatever became of them later: a
// report can then say of each how it was written and whether it was raised.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include <optional>

namespace moec {

/// How exporters write the experts of a MoE block.
enum class MoeForm {
  /// One MoE or QMoE operator.
  Fused,
  /// A loop over the experts, unrolled, each on every token.
  Unrolled,
  /// A loop over the experts, unrolled, each on the tokens that chose it.
  Masked,
  /// One product with the weights of all experts, masked by the routing.
  Dense,
  /// The weights of the chosen experts are gathered for every token.
  Gathered,
  /// Tokens are sorted by expert.
  Grouped,
};
llvm::StringRef describe(MoeForm form);

struct MoeBlock {
  /// The operator, or the one that chooses the experts.
  mlir::Operation *anchor;
  MoeForm form;
  std::optional<int64_t> experts, topK;
  /// What turns logits into weights: "softmax before top-k", ...
  std::string router;
};

struct AttentionBlock {
  /// The operator, or the softmax.
  mlir::Operation *anchor;
  bool isFused;
};

std::vector<MoeBlock> findMoeBlocks(mlir::ModuleOp module);
std::vector<AttentionBlock> findAttentionBlocks(mlir::ModuleOp module);

} // namespace moec
