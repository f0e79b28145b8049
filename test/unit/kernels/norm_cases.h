// Programs of norms, in the element type !T.
#pragma once

#include "llvm/Support/FormatVariadic.h"

namespace moec::test {

inline std::string rmsNorm(int64_t width) {
  return llvm::formatv(R"mlir(
    func.func @main(%x: tensor<?x3x{0}x!T>, %scale: tensor<{0}x!T>) -> tensor<?x3x{0}x!T> {{
      %y = attn.rms_norm %x, %scale {{axis = 2, epsilon = 1.0e-3 : f64} : tensor<?x3x{0}x!T>, tensor<{0}x!T> -> tensor<?x3x{0}x!T>
      return %y : tensor<?x3x{0}x!T>
    })mlir",
                       width)
      .str();
}

/// Over two dimensions, with its statistics, whose type is !S.
inline std::string layerNorm(int64_t width) {
  return llvm::formatv(R"mlir(
    func.func @main(%x: tensor<?x2x{0}x!T>, %scale: tensor<2x{0}x!T>, %b: tensor<2x{0}x!T>) -> (tensor<?x2x{0}x!T>, tensor<?x1x1x!S>, tensor<?x1x1x!S>) {{
      %y, %m, %i = attn.layer_norm %x, %scale bias(%b : tensor<2x{0}x!T>) {{axis = 1, epsilon = 1.0e-3 : f64}
        : tensor<?x2x{0}x!T>, tensor<2x{0}x!T> -> tensor<?x2x{0}x!T>, tensor<?x1x1x!S>, tensor<?x1x1x!S>
      return %y, %m, %i : tensor<?x2x{0}x!T>, tensor<?x1x1x!S>, tensor<?x1x1x!S>
    })mlir",
                       width)
      .str();
}

} // namespace moec::test
