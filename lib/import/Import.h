//===- Import.h - from ONNX files to the onnx dialect ---------------------===//
//
// The importer knows no operator. It keeps what the file says: types, names,
// attributes, subgraphs, and where the weights are. Model-local functions are
// inlined. Strings, sequences, optionals, maps, sparse and complex tensors and
// training are refused.
//
// Errors are diagnostics; their location is the node's or tensor's name in the
// model's file.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/Support/MemoryBufferRef.h"

namespace moec {

/// Argument and result attributes of the imported function.
/// The name of an input or output.
inline constexpr llvm::StringLiteral kOnnxNameAttr = "onnx.name";
/// Its dimensions: an i64, a string when the file names it, else unit. Missing
/// when the rank is unknown.
inline constexpr llvm::StringLiteral kOnnxDimsAttr = "onnx.dims";
/// Its element type as a TensorProto.DataType, an i64. Missing when unknown.
inline constexpr llvm::StringLiteral kOnnxTypeAttr = "onnx.type";

struct ImportOptions {
  /// Initializers and Constant nodes of at least so many bytes become weights.
  uint64_t weightBytes = 4096;
};

/// Imports the model at `path`: a module with `rt.weight` symbols and the
/// function `main`. The file is mapped, weights are not read, and external
/// data is looked for beside the file. Null after an error.
mlir::OwningOpRef<mlir::ModuleOp> importOnnx(llvm::StringRef path, mlir::MLIRContext &context,
                                             const ImportOptions &options = {});

/// The same for bytes in memory; their identifier is the model's path.
mlir::OwningOpRef<mlir::ModuleOp> importOnnx(llvm::MemoryBufferRef model,
                                             mlir::MLIRContext &context,
                                             const ImportOptions &options = {});

} // namespace moec
