//===- Matmul.h - products of rows by packed matrices ---------------------===//
#pragma once

#include "dialects/moe/MoeDialect.h"
#include "lib/kernels/cpu/Chip.h"
#include "lib/weights/PackedLayout.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <optional>

namespace moec {

/// What rows are multiplied as, and so how sums are made.
enum class Rows {
  /// Weights of any type are widened to f32; one fused multiply-add per column
  /// (two roundings on chips without), ascending.
  f32,
  /// By weights of bf16, on chips with avx512bf16: pairs of columns are
  /// multiplied and added by its instruction, ascending.
  bf16,
  /// By integers whose zero points are integers: exact sums over the columns
  /// of a block, which are scaled and added in f32, ascending.
  int8,
};

/// How a product is cut into registers.
struct MatmulTile {
  /// f32 elements of a vector, vectors of a panel, rows at a time.
  int64_t lanes, vectors, rows;
  int64_t width() const { return lanes * vectors; }
};

/// The tile of a chip. Results do not depend on it.
MatmulTile matmulTile(const Chip &chip, Rows rows = Rows::f32);

/// y[r] = activation(W x[rows[r] / rowDivisor] + b) in f32, with the matrix of
/// the group that r is in.
///
/// The kernel's inputs are x [?,k], or of int8 what QuantizeRows makes of it;
/// then rows [?] and offsets [groups+1] of i32, the packed matrices with their
/// scales and zero points, and the bias [groups,n], each if there is one; its
/// output is y [?,columns]. Rows of x and y are contiguous.
///
/// Each sum has one accumulator and ascends, so that a row's result depends
/// neither on the rows around it nor on the split of the grid.
struct Matmul {
  PackedLayout layout;
  Rows x = Rows::f32;
  /// Of integers: the type of their scales, and of their zero points (floats
  /// or int8) unless these are the default.
  WeightType scales = WeightType::f32;
  std::optional<WeightType> zeros = {};
  /// Whether r selects a row of x through a table, or is one.
  bool hasRows = false;
  int64_t rowDivisor = 1;
  /// Whether group g is the rows [offsets[g], offsets[g+1]), and rows past the
  /// last are 0; otherwise there is one group of all rows.
  bool hasOffsets = false;
  bool hasBias = false;
  /// May be null. Takes l if the layout has a gate.
  moe::ActivationAttr activation = {};

  /// Columns whose products are summed before they are scaled: those that
  /// share a scale of the weights, or what rows of int8 are cut into.
  int64_t block() const;

  bool operator==(const Matmul &) const = default;
  /// What a reader wants to see; different products may share it.
  std::string name() const;
  mlir::func::FuncOp build(mlir::OpBuilder &builder, const Chip &chip) const;
  /// The size of the kernel's grid for `rows` rows of the result.
  mlir::Value grid(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value rows) const;
};

} // namespace moec
