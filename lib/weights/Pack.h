//===- Pack.h - weights in the layout of the kernels that read them --------===//
#pragma once

#include "lib/weights/FileSlices.h"
#include "lib/weights/PackedLayout.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include <string>
#include <vector>

namespace moec {

/// The packed tensor of a layout: of floats, or of the bytes of integers (i8).
mlir::RankedTensorType packedType(mlir::MLIRContext *context, const PackedLayout &layout);

/// Rows of the matrices of some groups, where they are in a file of the model.
struct MatrixPart {
  /// Relative to the model's folder; empty for the model itself.
  std::string file;
  /// In bytes, of the element at [0,0,0].
  uint64_t offset = 0;
  /// f32, f16, bf16, or integers (signless) of 8, 4 or 2 bits, the lowest bits
  /// of a byte first.
  mlir::Type element;
  /// The first group and row that the part is.
  int64_t group = 0, row = 0;
  int64_t groups = 1, rows = 0;
  /// In elements, between groups, rows and columns. Rows or columns are
  /// contiguous.
  std::array<int64_t, 3> strides = {};
  /// Of a small tensor, which is in no file: its bytes.
  std::string bytes = {};
  /// Whether integers are signed; they are packed as if 2^(bits-1) had been
  /// added, which does the same to a zero point.
  bool isSigned = false;
};

/// How to make a packed weight: the step of a recipe.
struct PackStep {
  /// Of the matrix. Where the parts are floats and it is not, they are
  /// quantised on the way; other floats are rounded if need be.
  PackedLayout layout;
  /// Each row of each group is in one part.
  std::vector<MatrixPart> parts;
  /// Whether the scales of that quantisation are packed, not the integers.
  bool scales = false;

  /// What is packed.
  PackedLayout packed() const;
  mlir::DictionaryAttr toAttr(mlir::MLIRContext *context) const;
  /// What toAttr made; the step of a recipe that is something else is an error.
  static llvm::Expected<PackStep> parse(mlir::Attribute attr);
};

/// Gives the packed bytes to `emit`, front to back, in slices: memory does not
/// grow with the weight. `open` opens a part's file. Weights that are to be
/// quantised must be finite.
llvm::Error pack(const PackStep &step,
                 llvm::function_ref<llvm::Expected<const FileSlices *>(llvm::StringRef)> open,
                 llvm::function_ref<void(llvm::ArrayRef<char>)> emit);

} // namespace moec
