//===- Passes.td - every pass of moec ------------------------------------===//
#ifndef MOEC_PASSES
#define MOEC_PASSES

include "mlir/Pass/PassBase.td"

#endif
