//===- Attention.h - attention over fixed chunks of keys, by warps ---------===//
#pragma once

#include "lib/kernels/AttentionSpec.h"
#include "lib/kernels/cuda/BlockBuilder.h"

namespace moec::cuda {

/// Rows of a key head are numbered i * G + g, for query i and head g of the
/// group; a warp computes a tile of 16 of them.
inline constexpr int64_t kRowsOfTile = 16;

/// Where many tiles are, each warp walks the chunks of its tile's keys and
/// merges them in registers. Where few are, in decode, there is a warp for each
/// chunk: it leaves its (m, l, o) in memory for the kernel of AttentionMerge.
/// Both compute and merge chunks by the same operations in the same order, so
/// their bits are the same.
///
/// Sums: bf16 and f16 are multiplied by tensor cores, 16 dimensions of a score
/// after the other and 16 keys of o after the other, in f32. There an
/// exponential is the sum of two numbers of the narrow type, which have 16 bits
/// of bf16 and 22 of f16: the sums with the larger number of each 16 keys come
/// before those with the smaller. Other rows are multiplied and added in f32,
/// ascending. Four lanes share the exponentials of a row; each adds its own
/// ascending, and then the other's across one bit of their number after the
/// other. All of this depends on the type and the sizes alone.
struct Attention : AttentionSpec {
  /// Whether the rows of q, k and v begin at multiples of 16 bytes.
  bool isAligned = false;
  /// Whether there is a warp for each chunk. The outputs are those of
  /// AttentionMerge's inputs then.
  bool isSplit = false;

  bool operator==(const Attention &) const = default;
  bool isSupported() const;
  bool usesTensorCores() const;
  std::string name() const;
  mlir::func::FuncOp build(mlir::OpBuilder &builder) const;
  /// The number of blocks for `batch` rows of `queries` and `keys`.
  mlir::Value grid(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value batch,
                   mlir::Value queries, mlir::Value keys) const;
  /// Tiles of all rows.
  mlir::Value tiles(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value batch,
                    mlir::Value queries) const;
};

/// Merges chunks, ascending. The inputs are totals [B,M,chunks,rows,2] and sums
/// [B,M,chunks,rows,E] of f32, which hold (m, l) and o of the chunks that a row
/// sees; then those of attention; its output is y.
struct AttentionMerge : AttentionSpec {
  bool operator==(const AttentionMerge &) const = default;
  std::string name() const;
  mlir::func::FuncOp build(mlir::OpBuilder &builder) const;
  mlir::Value grid(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value batch,
                   mlir::Value queries) const;
};

} // namespace moec::cuda
