//===- InitAll.h - registers everything that moec's tools know -----------===//
#pragma once

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace moec {

/// Registers moec's dialects, the upstream dialects and interface
/// implementations that its pipelines use.
void registerAllDialects(mlir::DialectRegistry &registry);

/// Registers moec's passes and pipelines, and the upstream passes.
void registerAllPasses();

} // namespace moec
