//===- RouteSpec.h - selection and weights of each token's experts ---------===//
#pragma once

#include "dialects/moe/MoeDialect.h"
#include "mlir/IR/Builders.h"

namespace moec {

/// A moe.route. The kernel's inputs are the logits [?,experts], the selection
/// bias [experts] and values [?,experts], the last two if there are; its outputs
/// are ids [?,top_k] of i32 and weights [?,top_k] of f32. Rows are contiguous.
struct RouteSpec {
  /// f32, f16 or bf16; those of absent operands are null.
  mlir::Type logits, bias = {}, values = {};
  int64_t experts;
  moe::RouterAttr router;

  bool operator==(const RouteSpec &) const = default;
  std::string name() const;
  llvm::SmallVector<mlir::Type> argumentTypes(mlir::Builder &builder) const;
};

} // namespace moec
