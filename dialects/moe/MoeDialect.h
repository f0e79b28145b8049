//===- MoeDialect.h - the moe dialect ----------------------------------===//
#pragma once

#include "dialects/TensorOps.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/APFloat.h"

namespace moec::moe {

/// Parameters of attributes that are doubles; infinities are never written.
mlir::FailureOr<llvm::APFloat> parseDouble(mlir::AsmParser &parser);
inline llvm::APFloat lowest() {
  return llvm::APFloat::getInf(llvm::APFloat::IEEEdouble(), /*Negative=*/true);
}
inline llvm::APFloat highest() { return llvm::APFloat::getInf(llvm::APFloat::IEEEdouble()); }

/// A matrix per expert, with what belongs to it; null where absent.
struct Matrix {
  mlir::Value weights, bias, scales, zeroPoints;
  llvm::StringRef name;
};

} // namespace moec::moe

#include "dialects/moe/MoeDialect.h.inc"
#include "dialects/moe/MoeEnums.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/moe/MoeTypes.h.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/moe/MoeAttrs.h.inc"
#define GET_OP_CLASSES
#include "dialects/moe/MoeOps.h.inc"
