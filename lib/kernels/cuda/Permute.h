//===- Permute.h - slots sorted by expert, by one block --------------------===//
#pragma once

#include "lib/kernels/cuda/BlockBuilder.h"

namespace moec::cuda {

/// A moe.permute: a counting sort. The kernel's input is ids [?,topK]; its
/// outputs are offsets [experts+1], slots [?] and positions [?,topK], all of i32
/// and contiguous. The grid is one block.
///
/// Each warp has a range of the slots. It counts them by expert, and when all
/// counts are summed by expert and warp, places them in the same order: lanes
/// with the same expert find each other, and the first counts for all. Nothing
/// depends on who comes first.
struct Permute {
  int64_t experts, topK;

  bool operator==(const Permute &) const = default;
  /// Whether counts fit into a block's memory.
  bool isSupported() const;
  std::string name() const;
  mlir::func::FuncOp build(mlir::OpBuilder &builder) const;

private:
  int64_t sharedBytes() const;
};

} // namespace moec::cuda
