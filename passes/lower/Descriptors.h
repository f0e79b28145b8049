//===- Descriptors.h - memrefs from the tables of the module ABI ----------===//
#pragma once

#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace moec {

/// Builds a memref of `type` at `pointer`. `sizes` and `strides` (i64 values)
/// give its dynamic ones in order; strides that an identity layout implies are
/// computed. The result is an unrealized cast that the lowering of memrefs to
/// LLVM resolves.
mlir::Value makeMemRef(mlir::OpBuilder &builder, mlir::Location loc,
                       const mlir::LLVMTypeConverter &converter, mlir::MemRefType type,
                       mlir::Value pointer, mlir::ValueRange sizes, mlir::ValueRange strides);

/// The descriptor behind a memref.
mlir::MemRefDescriptor descriptorOf(mlir::OpBuilder &builder, mlir::Location loc,
                                    const mlir::LLVMTypeConverter &converter, mlir::Value memref);

/// The address of a descriptor's first element.
mlir::Value firstElement(mlir::OpBuilder &builder, mlir::Location loc,
                         const mlir::LLVMTypeConverter &converter, mlir::MemRefType type,
                         mlir::MemRefDescriptor descriptor);

/// What of a memref's layout is known only at run time and not implied by its
/// sizes: which sizes and which strides a table has to carry.
struct DynamicLayout {
  llvm::SmallVector<unsigned> sizes, strides;
  explicit DynamicLayout(mlir::MemRefType type);
};

/// Loads, from `base`, the 64-bit word or pointer `index`.
mlir::Value loadWord(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value base,
                     mlir::Type type, int64_t index);

} // namespace moec
