#include "dialects/rt/RtDialect.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"

#define GET_OP_CLASSES
#include "dialects/rt/RtOps.cpp.inc"

using namespace mlir;

namespace moec::rt {

LogicalResult LoadWeightOp::verifySymbolUses(SymbolTableCollection &symbols) {
  auto weight = symbols.lookupNearestSymbolFrom<WeightOp>(*this, getWeightAttr());
  if (!weight)
    return emitOpError("requires an rt.weight, but ") << getWeightAttr() << " is none";
  // C1
  auto declared = cast<ShapedType>(weight.getType());
  auto loaded = cast<ShapedType>(getResult().getType());
  if (declared.getShape() != loaded.getShape() ||
      declared.getElementType() != loaded.getElementType())
    return (emitOpError("loads ") << loaded << ", but the weight is " << declared)
               .attachNote(weight.getLoc())
           << "declared here";
  return success();
}

LogicalResult OutputOp::verify() {
  auto type = cast<MemRefType>(getResult().getType());
  if (getSizes().size() != type.getNumDynamicDims())
    return emitOpError("requires one size per dynamic dimension, but ")
           << getSizes().size() << " are given for " << type;
  return success();
}

LogicalResult ReadOp::verify() {
  auto type = cast<MemRefType>(getElement().getType());
  // C1
  if (type.getRank() != 0)
    return emitOpError("requires a buffer of rank 0, but its rank is ") << type.getRank();
  // C2
  if (type.getElementType() != getResult().getType())
    return emitOpError("yields ") << getResult().getType() << ", but the element is "
                                  << type.getElementType();
  return success();
}

LogicalResult LaunchOp::verifySymbolUses(SymbolTableCollection &symbols) {
  // C1
  auto callee = symbols.lookupNearestSymbolFrom<func::FuncOp>(*this, getKernelAttr());
  if (!callee || !callee->hasAttr(kKernelAttr))
    return emitOpError("requires a func.func with the attribute rt.kernel, but ")
           << getKernelAttr() << " is none";
  // C2
  size_t expected = getInputs().size() + getOutputs().size() + 2;
  if (callee.getNumArguments() != expected)
    return (emitOpError("passes ")
            << expected << " arguments, but the kernel takes " << callee.getNumArguments())
               .attachNote(callee.getLoc())
           << "declared here";
  return success();
}

void LaunchOp::getEffects(
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  for (OpOperand &input : getInputsMutable())
    if (isa<MemRefType>(input.get().getType()))
      effects.emplace_back(MemoryEffects::Read::get(), &input);
  for (OpOperand &output : getOutputsMutable())
    if (isa<MemRefType>(output.get().getType())) {
      effects.emplace_back(MemoryEffects::Read::get(), &output);
      effects.emplace_back(MemoryEffects::Write::get(), &output);
    }
}

} // namespace moec::rt
