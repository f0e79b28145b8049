//===- TensorOps.td - what the operations on tensors share ----------------===//
#ifndef MOEC_TENSOR_OPS
#define MOEC_TENSOR_OPS

include "mlir/Dialect/Linalg/IR/LinalgInterfaces.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

/// Types of values; accumulators are f32, or f64 where an operand is.
def Moec_Float : AnyTypeOf<[F16, BF16, F32, F64]>;
class FloatTensor<list<int> ranks> : TensorRankOf<[F16, BF16, F32, F64], ranks>;

/// A 64-bit integer that may be negative; I64Attr reads as unsigned.
def Moec_IntAttr : TypedSignlessIntegerAttrBase<I64, "int64_t", "64-bit integer attribute"> {
  let convertFromStorage = "$_self.getInt()";
}

/// A pure operation on ranked tensors: its result types follow from its
/// operands, up to sizes known only to one side, and it decomposes to linalg
/// and tensor, which is its reference semantics.
class Moec_TensorOp<Dialect dialect, string mnemonic, list<Trait> traits = []>
    : Op<dialect, mnemonic, !listconcat(traits, [Pure, InferTypeOpAdaptorWithIsCompatible,
        DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>,
        DeclareOpInterfaceMethods<AggregatedOpInterface, ["decomposeOperation"]>])> {
  let extraClassDefinition = [{
    bool $cppClass::isCompatibleReturnTypes(::mlir::TypeRange inferred, ::mlir::TypeRange actual) {
      return ::moec::areCompatibleTensors(inferred, actual);
    }
  }];
}

#endif
