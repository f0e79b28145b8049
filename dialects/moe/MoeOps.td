//===- MoeOps.td - Mixture-of-Experts blocks ------------------------------===//
#ifndef MOEC_MOE_OPS
#define MOEC_MOE_OPS

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Moe_Dialect : Dialect {
  let name = "moe";
  let cppNamespace = "::moec::moe";
  let summary = "Routing and experts of Mixture-of-Experts models";
}

#endif
