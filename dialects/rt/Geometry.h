//===- Geometry.h - how a device cuts a kernel's index range into blocks ---===//
#pragma once

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Operation.h"

namespace moec::rt {

/// Attribute of a kernel that is written for whole blocks of threads, a
/// dictionary: each index is computed by `threads` threads together, which
/// share `shared` bytes of memory. Other kernels compute an index per thread.
inline constexpr llvm::StringLiteral kBlockAttr = "rt.block";

/// Attribute of a kernel that takes the place of another in code for one chip:
/// a dictionary of the "chip" and the name of the "kernel", whose arguments and
/// grid it has.
inline constexpr llvm::StringLiteral kVariantAttr = "rt.variant";

struct Geometry {
  int64_t threads = 128, indices = 128, shared = 0;

  explicit Geometry(mlir::Operation *kernel) {
    auto block = kernel->getAttrOfType<mlir::DictionaryAttr>(kBlockAttr);
    if (!block)
      return;
    threads = block.getAs<mlir::IntegerAttr>("threads").getInt();
    shared = block.getAs<mlir::IntegerAttr>("shared").getInt();
    indices = 1;
  }
};

} // namespace moec::rt
