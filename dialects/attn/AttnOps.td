//===- AttnOps.td - attention, its caches and positions ------------------===//
#ifndef MOEC_ATTN_OPS
#define MOEC_ATTN_OPS

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/EnumAttr.td"
include "mlir/IR/OpBase.td"

def Attn_Dialect : Dialect {
  let name = "attn";
  let cppNamespace = "::moec::attn";
  let summary = "Attention, key/value caches, rotary positions and norms";
}

#endif
