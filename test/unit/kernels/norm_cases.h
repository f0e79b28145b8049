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

/// Of a sum, which is the second result.
inline std::string skipRmsNorm(int64_t width) {
  return llvm::formatv(R"mlir(
    #id = affine_map<(i, j, k) -> (i, j, k)>
    func.func @main(%x: tensor<?x3x{0}x!T>, %skip: tensor<?x3x{0}x!T>, %scale: tensor<{0}x!T>) -> (tensor<?x3x{0}x!T>, tensor<?x3x{0}x!T>) {{
      %c0 = arith.constant 0 : index
      %n = tensor.dim %x, %c0 : tensor<?x3x{0}x!T>
      %e = tensor.empty(%n) : tensor<?x3x{0}x!T>
      %sum = linalg.generic {{indexing_maps = [#id, #id, #id], iterator_types = ["parallel", "parallel", "parallel"]}
        ins(%x, %skip : tensor<?x3x{0}x!T>, tensor<?x3x{0}x!T>) outs(%e : tensor<?x3x{0}x!T>) {{
      ^bb0(%a: !T, %b: !T, %out: !T):
        %s = arith.addf %a, %b : !T
        linalg.yield %s : !T
      } -> tensor<?x3x{0}x!T>
      %y = attn.rms_norm %sum, %scale {{axis = 2, epsilon = 1.0e-3 : f64} : tensor<?x3x{0}x!T>, tensor<{0}x!T> -> tensor<?x3x{0}x!T>
      return %y, %sum : tensor<?x3x{0}x!T>, tensor<?x3x{0}x!T>
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
