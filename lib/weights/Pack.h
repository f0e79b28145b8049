//===- Pack.h - weights in the layout of the kernels that read them --------===//
#pragma once

#include "lib/weights/FileSlices.h"
#include "lib/weights/PackedLayout.h"
#include "mlir/IR/BuiltinAttributes.h"
#include <string>
#include <vector>

namespace moec {

/// Rows of the matrices of some groups, where they are in a file of the model.
struct MatrixPart {
  /// Relative to the model's folder; empty for the model itself.
  std::string file;
  /// In bytes, of the element at [0,0,0].
  uint64_t offset = 0;
  /// f32, f16 or bf16.
  mlir::Type element;
  /// The first group and row that the part is.
  int64_t group = 0, row = 0;
  int64_t groups = 1, rows = 0;
  /// In elements, between groups, rows and columns. Rows or columns are
  /// contiguous.
  std::array<int64_t, 3> strides = {};
};

/// How to make a packed weight of f32: the step "pack_f32" of a recipe.
struct PackStep {
  PackedLayout layout;
  /// Each row of each group is in one part.
  std::vector<MatrixPart> parts;

  mlir::DictionaryAttr toAttr(mlir::MLIRContext *context) const;
  /// What toAttr made; the step of a recipe that is something else is an error.
  static llvm::Expected<PackStep> parse(mlir::Attribute attr);
};

/// Gives the packed bytes to `emit`, front to back, in slices: memory does not
/// grow with the weight. `open` opens a part's file.
llvm::Error pack(const PackStep &step,
                 llvm::function_ref<llvm::Expected<const FileSlices *>(llvm::StringRef)> open,
                 llvm::function_ref<void(llvm::ArrayRef<char>)> emit);

} // namespace moec
