//===- TensorBuilder.h - tensors computed element by element --------------===//
//
// Decompositions are written as formulas over elements; this builder makes
// linalg operations of them:
//
//   Value norm = b.compute(sizes, {{x, {0, 1}}, {scale, {1}}}, f32, body);
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace moec {

class TensorBuilder : public mlir::ImplicitLocOpBuilder {
public:
  using Sizes = llvm::ArrayRef<mlir::OpFoldResult>;
  /// A tensor of which element [loop[dims[0]], loop[dims[1]], ...] is used.
  struct Operand {
    mlir::Value tensor;
    llvm::SmallVector<unsigned> dims;
  };
  /// The element of the result, from the elements of the operands; in
  /// reductions the last is the accumulator.
  using Body = llvm::function_ref<mlir::Value(TensorBuilder &, mlir::ValueRange)>;

  TensorBuilder(mlir::OpBuilder &builder, mlir::Location loc)
      : ImplicitLocOpBuilder(loc, builder) {}

  /// A tensor of `sizes` with one loop per dimension, all independent.
  mlir::Value compute(Sizes sizes, llvm::ArrayRef<Operand> operands, mlir::Type element, Body body);

  /// Overwrites `dest`, one loop per dimension.
  mlir::Value computeInto(mlir::Value dest, llvm::ArrayRef<Operand> operands, Body body);

  /// Overwrites `dest`; the body's last element is the one it replaces.
  mlir::Value update(mlir::Value dest, llvm::ArrayRef<Operand> operands, Body body);

  /// Folds `body` into `init`. Loops that `init` is not indexed by ascend one
  /// element after the other. Of loops with equal claims to be the innermost,
  /// kernels take the last: state the contiguous one after the others.
  mlir::Value reduce(Sizes loops, llvm::ArrayRef<Operand> operands, const Operand &init, Body body);

  /// A tensor of `sizes` filled with a constant.
  mlir::Value filled(Sizes sizes, mlir::Type element, double value);

  /// The same tensor with the sizes that `type` states.
  mlir::Value castTo(mlir::Value tensor, mlir::Type type);

  llvm::SmallVector<mlir::OpFoldResult> sizes(mlir::Value tensor);
  mlir::OpFoldResult size(mlir::Value tensor, int64_t dim);
  /// A size as a value of type index.
  mlir::Value index(mlir::OpFoldResult size);
  mlir::Value index(int64_t value);

  /// Inside a body: the index of a loop, an element of any tensor.
  mlir::Value loop(unsigned dim);
  mlir::Value extract(mlir::Value tensor, mlir::ValueRange indices);
  /// The element if `inside`, which is not read otherwise, or else `fallback`.
  mlir::Value extractOr(mlir::Value inside, mlir::Value tensor, mlir::ValueRange indices,
                        mlir::Value fallback);

  // Scalars, or vectors element by element; integers compare signed, floats
  // ordered.
  mlir::Value constant(mlir::Type type, double value);
  mlir::Value add(mlir::Value lhs, mlir::Value rhs);
  mlir::Value sub(mlir::Value lhs, mlir::Value rhs);
  mlir::Value mul(mlir::Value lhs, mlir::Value rhs);
  mlir::Value div(mlir::Value lhs, mlir::Value rhs);
  mlir::Value max(mlir::Value lhs, mlir::Value rhs);
  mlir::Value min(mlir::Value lhs, mlir::Value rhs);
  mlir::Value exp(mlir::Value value);
  mlir::Value select(mlir::Value condition, mlir::Value yes, mlir::Value no);
  mlir::Value both(mlir::Value lhs, mlir::Value rhs);
  mlir::Value either(mlir::Value lhs, mlir::Value rhs);
  mlir::Value equal(mlir::Value lhs, mlir::Value rhs);
  mlir::Value less(mlir::Value lhs, mlir::Value rhs);
  /// The value as another type: floats round, integers become floats or
  /// indices, signed.
  mlir::Value convert(mlir::Value value, mlir::Type type);

private:
  mlir::Value generic(Sizes loops, llvm::ArrayRef<Operand> operands, const Operand &init,
                      bool readsInit, Body body);
};

/// The type that sums of `element` are computed in.
mlir::Type accumulatorOf(mlir::Type element);

} // namespace moec
