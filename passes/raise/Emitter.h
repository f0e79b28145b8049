//===- Emitter.h - what lowerings of ONNX operators are written with ------===//
//
// A lowering reads its node's inputs as `Tensor`s and emits linalg, tensor and
// arith through this builder. Sizes are symbolic: what can be proven equal is,
// what cannot is checked at run time by `cf.assert`.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "passes/raise/Tensor.h"

namespace moec::raise {

class Emitter : public mlir::ImplicitLocOpBuilder {
public:
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  //===--- Sizes ----------------------------------------------------------===//

  mlir::OpFoldResult size(int64_t value) { return getIndexAttr(value); }
  /// A size as a Value of type index.
  mlir::Value index(mlir::OpFoldResult size);
  mlir::Value index(int64_t value);
  mlir::OpFoldResult add(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  mlir::OpFoldResult sub(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  mlir::OpFoldResult mul(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  mlir::OpFoldResult max(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  mlir::OpFoldResult min(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  /// Exact where common factors cancel, otherwise rounding towards zero.
  mlir::OpFoldResult divide(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  mlir::OpFoldResult product(llvm::ArrayRef<mlir::OpFoldResult> sizes);
  /// Whether the sizes are equal whatever the inputs are.
  bool equal(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  /// The size that lhs and rhs broadcast to; checked at run time where it must.
  mlir::OpFoldResult broadcast(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs);
  Scalars broadcastShapes(llvm::ArrayRef<Tensor> tensors);

  //===--- Tensors --------------------------------------------------------===//

  /// The tensor's value, made from its elements if it has none yet.
  mlir::Value value(Tensor &tensor);
  mlir::Value value(Tensor &&tensor) { return value(tensor); }
  /// A value as a tensor of the graph; `shape` refines the value's type.
  Tensor tensor(mlir::Value value, mlir::Type elementType, Scalars shape);
  /// A shape tensor (rank 1, or rank 0 for one element when `isScalar`).
  Tensor fromElements(Scalars elements, mlir::Type elementType, bool isScalar = false);
  /// The elements of an integer tensor of rank 0 or 1, of static size.
  mlir::FailureOr<Scalars> elementsOf(Tensor &tensor);
  mlir::Value empty(llvm::ArrayRef<mlir::OpFoldResult> shape, mlir::Type elementType);
  mlir::Value filled(llvm::ArrayRef<mlir::OpFoldResult> shape, mlir::Value scalar);
  /// A constant of a float or integer type.
  mlir::Value constant(mlir::Type type, double value);

  /// The same elements in another shape. Sizes that cannot be proven to match
  /// are checked at run time.
  Tensor reshape(Tensor input, Scalars shape);
  Tensor transpose(Tensor input, llvm::ArrayRef<int64_t> permutation);
  /// Inputs broadcast to `shape`, by reading: nothing is copied until used.
  Tensor broadcastTo(Tensor input, Scalars shape);
  /// Dimension `dim` is merged with its neighbours so that it has size 1 and
  /// disappears (`squeeze`), or appears (`unsqueeze`).
  Tensor squeeze(Tensor input, llvm::ArrayRef<int64_t> dims);
  Tensor unsqueeze(Tensor input, llvm::ArrayRef<int64_t> dims);

  /// One scalar of the result, from one scalar of each input.
  using ScalarBody = llvm::function_ref<mlir::Value(Emitter &, mlir::ValueRange)>;
  /// Applies `body` to broadcast inputs. `elementType` is ONNX's.
  Tensor elementwise(llvm::ArrayRef<Tensor> inputs, mlir::Type elementType, ScalarBody body);

  /// One element of the result, from its indices (Values of type index).
  using IndexedBody = llvm::function_ref<mlir::Value(Emitter &, mlir::ValueRange)>;
  /// A tensor computed from indices; inputs are read by `read`.
  Tensor generate(Scalars shape, mlir::Type elementType, IndexedBody body);
  /// Inside a body: one element.
  mlir::Value read(mlir::Value tensor, mlir::ValueRange indices);
  /// The element if `inside` (i1), else `fallback`; outside nothing is read.
  mlir::Value readIf(mlir::Value inside, mlir::Value tensor, mlir::ValueRange indices,
                     mlir::Value fallback);

  /// Folds `body` (accumulator, element) over `dims`, ascending, starting from
  /// `init`; accumulates in `accumulatorType` (signless). The result keeps the
  /// reduced dimensions with size 1 when `keepDims`.
  Tensor reduce(Tensor input, llvm::ArrayRef<int64_t> dims, bool keepDims, mlir::Value init,
                ScalarBody body);

  /// The value converted to another element type, as ONNX's Cast does it.
  mlir::Value convert(mlir::Value scalar, mlir::Type from, mlir::Type to);
  Tensor cast(Tensor input, mlir::Type elementType);

  //===--- Scalars in bodies: integers and indices, signed -----------------===//

  mlir::Value add(mlir::Value lhs, mlir::Value rhs);
  mlir::Value sub(mlir::Value lhs, mlir::Value rhs);
  mlir::Value mul(mlir::Value lhs, mlir::Value rhs);
  mlir::Value min(mlir::Value lhs, mlir::Value rhs);
  mlir::Value max(mlir::Value lhs, mlir::Value rhs);
  mlir::Value quotient(mlir::Value lhs, mlir::Value rhs);
  mlir::Value remainder(mlir::Value lhs, mlir::Value rhs);
  mlir::Value less(mlir::Value lhs, mlir::Value rhs);
  mlir::Value same(mlir::Value lhs, mlir::Value rhs);
  mlir::Value both(mlir::Value lhs, mlir::Value rhs);
  mlir::Value either(mlir::Value lhs, mlir::Value rhs);
  mlir::Value negation(mlir::Value condition);
  mlir::Value select(mlir::Value condition, mlir::Value yes, mlir::Value no);
  /// Between indices and integers.
  mlir::Value toIndex(mlir::Value integer);
  mlir::Value fromIndex(mlir::Value index, mlir::Type integer);
  /// The place of an element in the row-major order of a shape, and back.
  mlir::Value linearIndex(mlir::ValueRange indices, llvm::ArrayRef<mlir::OpFoldResult> shape);
  llvm::SmallVector<mlir::Value> indicesOf(mlir::Value linear,
                                           llvm::ArrayRef<mlir::OpFoldResult> shape);

  /// Ends the execution with `message` unless `condition` (i1) holds.
  void check(mlir::Value condition, const llvm::Twine &message);

private:
  std::optional<Tensor> elementwiseOnElements(llvm::ArrayRef<Tensor> inputs, mlir::Type elementType,
                                              ScalarBody body);
  mlir::OpFoldResult foldBinary(mlir::OpFoldResult lhs, mlir::OpFoldResult rhs,
                                llvm::function_ref<int64_t(int64_t, int64_t)> constant,
                                llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)> emit);
};

} // namespace moec::raise
