//===- Axes.h - axes and lists that only the data tells --------------------===//
//
// Models name axes by constants, as a rule. Where they do not, dimensions are
// told apart at run time: what an axis changes is chosen for each of them.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "passes/raise/Operators.h"

namespace moec::raise {

/// The value at position `at` (of type index) of a list: a Value of type index.
using ListReader = llvm::function_ref<mlir::Value(Emitter &, mlir::Value at)>;

/// One number (a Value of type index) for each dimension: that of a list of
/// `count` numbers, else its default. `axes` names the dimension that each
/// number is for, counted from the end when negative; without, the numbers are
/// for the first dimensions.
llvm::SmallVector<mlir::Value> spreadOverDims(Emitter &e, mlir::OpFoldResult count,
                                              std::optional<Tensor> axes,
                                              llvm::ArrayRef<mlir::Value> defaults,
                                              ListReader read);

/// Whether `axes` names each of `rank` dimensions, as Values of type i1.
llvm::SmallVector<mlir::Value> namedDims(Emitter &e, Tensor axes, int64_t rank);

/// Reads an integer list of rank 1.
inline mlir::Value readList(Emitter &e, mlir::Value list, mlir::Value at) {
  return e.toIndex(e.read(list, at));
}

/// How many dimensions are left without those that `axes`, each of them named
/// once, take away; nothing where the type of `axes` does not state it.
std::optional<int64_t> rankWithout(const Tensor &axes, int64_t rank);

/// The size at a position that is known at run time.
mlir::Value sizeAt(Emitter &e, llvm::ArrayRef<mlir::OpFoldResult> shape, mlir::Value at);

/// The sizes of the dimensions that are kept, in order. That there are `count`
/// of them is checked at run time.
Scalars keptSizes(Emitter &e, llvm::ArrayRef<mlir::OpFoldResult> shape,
                  llvm::ArrayRef<mlir::Value> isKept, int64_t count);

/// A shape of `rank` sizes that a list of unknown length ends with; those that
/// it lacks are 1.
Scalars trailingSizes(Emitter &e, Tensor list, int64_t rank);

} // namespace moec::raise
