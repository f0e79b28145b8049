//===- LinearAttention.h - attention to a recurrent state ------------------===//
#pragma once

#include "lib/kernels/cpu/Chip.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moec {

/// An attn.linear_attention. The kernel's inputs are q [?,?,queryHeads,depth],
/// k [?,?,keyHeads,depth], v [?,?,stateHeads,width], the state
/// [?,stateHeads,depth,width], the decay [?,?,stateHeads,decayDepth] and the beta
/// [?,?,betaHeads], if there are; its outputs are the result [?,?,heads,width]
/// and the present state, of the state's shape, whose memory it may be. Rows are
/// contiguous. The grid is the columns of all states in blocks: what a token does
/// to one column needs no other, so a block goes through all tokens while its
/// columns stay in the nearest cache.
///
/// Sums ascend, products with them rounded once where the chip can.
struct LinearAttention {
  /// Of q, k, v and the result, of the states, and of decay and beta, null
  /// without them; f32, f16 or bf16.
  mlir::Type element, state, decay = {}, beta = {};
  int64_t queryHeads, keyHeads, stateHeads, depth, width;
  int64_t decayDepth = 0, betaHeads = 0;
  double scale = 1;

  int64_t heads() const { return std::max(queryHeads, stateHeads); }
  /// The heads of the result that read one state.
  int64_t headsPerState() const { return heads() / stateHeads; }

  bool operator==(const LinearAttention &) const = default;
  std::string name() const;
  mlir::func::FuncOp build(mlir::OpBuilder &builder, const Chip &chip) const;
  /// The size of the grid for so many rows of the batch.
  mlir::Value grid(mlir::OpBuilder &builder, mlir::Location loc, const Chip &chip,
                   mlir::Value batch) const;
};

} // namespace moec
