//===- Matmul.h - products of rows by packed matrices, by blocks of threads ===//
#pragma once

#include "dialects/moe/MoeDialect.h"
#include "lib/kernels/cuda/BlockBuilder.h"
#include "lib/weights/PackedLayout.h"
#include <optional>

namespace moec::cuda {

/// Rows of a panel, which is two halves: with a gate those of g and of l.
inline constexpr int64_t kPanel = 128, kHalf = kPanel / 2;

/// What a block computes: some rows of each half of a panel per warp, for some
/// rows of x, which this file calls tokens.
struct MatmulTile {
  int64_t warps = 2, rows = 8, tokens = 8;
  /// Stages of the pipeline that copies matrices and tokens.
  int64_t stages = 4;
  /// What the second-level cache is to keep of a group while the rest passes by: one
  /// band of about so many tokens after the other, or, if this is 0, the matrix.
  int64_t bandTokens = 0;

  int64_t rowsOfHalf() const { return warps * rows; }
  bool operator==(const MatmulTile &) const = default;
};

/// Tiles by size, for a few tokens per group up to thousands.
enum class TileSize { few, some, many };

/// y[r] = activation(W x[rows[r] / rowDivisor] + b), with the matrix of the
/// group that r is in, rounded to the type of y.
///
/// With x of f32, weights of any type are widened and multiplied and added in
/// f32, one column after the other. With x of bf16 or f16, tensor cores multiply
/// it by weights of that type or by integers, some columns after the other: within
/// these they sum in an order of their own, which is the same for all tokens and
/// tiles. The products of integers that share a scale are summed before they are
/// scaled.
///
/// The kernel's inputs are x [?,k], rows [?] and offsets [groups+1] of i32, the
/// packed matrices with their scales and zero points, and the bias [groups,n]
/// of f32, each if there is one; its output is y [?,columns]. Rows of x and y
/// are contiguous.
struct Matmul {
  /// Of panels of kPanel rows, whose words are columnsOfWord columns.
  PackedLayout layout;
  /// Of x: f32, bf16 or f16.
  mlir::Type x;
  mlir::Type y;
  /// Of integers: the type of their scales, and of their zero points, which are
  /// integers, unless these are the default.
  WeightType scales = WeightType::f32;
  bool hasZeros = false;
  /// Whether r selects a row of x through a table, or is one.
  bool hasRows = false;
  int64_t rowDivisor = 1;
  /// Whether group g is the rows [offsets[g], offsets[g+1]), and rows past the
  /// last are 0; otherwise there is one group of all rows.
  bool hasOffsets = false;
  bool hasBias = false;
  /// May be null. Takes l if the layout has a gate.
  moe::ActivationAttr activation = {};
  MatmulTile tile = {};

  /// Columns of a packed word: 16 bytes of floats, 8 integers.
  static int64_t columnsOfWord(WeightType weights);
  /// Whether there is a kernel for these types and blocks of scales.
  bool isSupported() const;
  /// The tile of a size, for these types.
  MatmulTile tileOf(TileSize size) const;

  bool operator==(const Matmul &) const = default;
  /// What a reader wants to see; different products may share it.
  std::string name() const;
  /// The kernel's arguments but for the range of the grid.
  llvm::SmallVector<mlir::Type> argumentTypes(mlir::Builder &builder) const;
  mlir::func::FuncOp build(mlir::OpBuilder &builder) const;
  /// The kernel that sm_90a has instead, if any.
  mlir::func::FuncOp buildForHopper(mlir::OpBuilder &builder) const;
  /// How many blocks `rows` rows of the result need at most.
  mlir::Value grid(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value rows) const;
};

} // namespace moec::cuda
