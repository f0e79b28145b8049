//===- RtBufferization.h - how the rt ops become memrefs -----------------===//
#pragma once

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace moec::rt {

/// Attaches BufferizableOpInterface to the rt ops. A launch reads its inputs
/// and overwrites its outputs; a weight is read-only.
void registerBufferizableOpInterfaceExternalModels(mlir::DialectRegistry &registry);

} // namespace moec::rt
