//===- Passes.h - every pass and pipeline of moec ------------------------===//
#pragma once

#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace moec {

#define GEN_PASS_DECL
#include "passes/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/Passes.h.inc"

/// Registers the named pipelines of Pipelines.cpp (`--moec-raise`, ...).
void registerPipelines();

} // namespace moec
