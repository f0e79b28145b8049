//===- Route.h - selection and weights of each token's experts -------------===//
#pragma once

#include "dialects/moe/MoeDialect.h"
#include "lib/kernels/cpu/Chip.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace moec {

/// A moe.route. The kernel's inputs are the logits [?,experts], the selection
/// bias [experts] and values [?,experts], the last two if there are; its outputs
/// are ids [?,top_k] of i32 and weights [?,top_k] of f32. Rows are contiguous.
/// The grid is the tokens.
///
/// The exponentials of a softmax over all experts are summed lane by lane,
/// ascending, and the lanes by halves (KernelBuilder::sumOfLanes): an order
/// that only the chip and the number of experts decide.
struct Route {
  /// f32, f16 or bf16; those of absent operands are null.
  mlir::Type logits, bias = {}, values = {};
  int64_t experts;
  moe::RouterAttr router;

  bool operator==(const Route &) const = default;
  std::string name() const;
  mlir::func::FuncOp build(mlir::OpBuilder &builder, const Chip &chip) const;
};

} // namespace moec
