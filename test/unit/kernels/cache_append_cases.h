// Caches of two heads that grow, in the element type !T.
#pragma once

#include "test/unit/dialects/program.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/FormatVariadic.h"

namespace moec::test {

inline std::string cacheAppend(int64_t depth, bool lengths) {
  return llvm::formatv(R"mlir(
    func.func @main(%past: tensor<?x2x?x{0}x!T>, %new: tensor<?x?x2x{0}x!T>, %size: tensor<?xi64>, %n: tensor<?xi64>) -> tensor<?x2x?x{0}x!T> {{
      %c0 = arith.constant 0 : index
      %b = tensor.dim %past, %c0 : tensor<?x2x?x{0}x!T>
      %t = tensor.dim %size, %c0 : tensor<?xi64>
      %dest = tensor.empty(%b, %t) : tensor<?x2x?x{0}x!T>
      %y = attn.cache_append %past, %new {1} outs(%dest : tensor<?x2x?x{0}x!T>)
           : tensor<?x2x?x{0}x!T>, tensor<?x?x2x{0}x!T> -> tensor<?x2x?x{0}x!T>
      return %y : tensor<?x2x?x{0}x!T>
    })mlir",
                       depth, lengths ? "lengths(%n : tensor<?xi64>)" : "")
      .str();
}

/// A state of two rows that grows by what is rotated.
inline std::string rotatedAppend(int64_t depth, int64_t pairs) {
  return llvm::formatv(R"mlir(
    func.func @main(%past: tensor<2x2x?x{0}x!T>, %x: tensor<2x?x2x{0}x!T>, %cos: tensor<?x{1}x!T>, %sin: tensor<?x{1}x!T>,
                    %p: tensor<2x?xi64>, %size: tensor<?xi64>, %n: tensor<2xi64>) -> tensor<2x2x?x{0}x!T> {{
      %c0 = arith.constant 0 : index
      %t = tensor.dim %size, %c0 : tensor<?xi64>
      %dest = tensor.empty(%t) : tensor<2x2x?x{0}x!T>
      %new = attn.rope %x, %cos, %sin positions(%p : tensor<2x?xi64>)
           : tensor<2x?x2x{0}x!T>, tensor<?x{1}x!T>, tensor<?x{1}x!T> -> tensor<2x?x2x{0}x!T>
      %y = attn.cache_append %past, %new lengths(%n : tensor<2xi64>) outs(%dest : tensor<2x2x?x{0}x!T>)
           : tensor<2x2x?x{0}x!T>, tensor<2x?x2x{0}x!T> -> tensor<2x2x?x{0}x!T>
      return %y : tensor<2x2x?x{0}x!T>
    })mlir",
                       depth, pairs)
      .str();
}

/// What precedes an attention, and the attention.
inline constexpr const char *kAppendsAndAttention = R"mlir(
    func.func @main(%pk: tensor<?x2x?x32x!T>, %pv: tensor<?x2x?x16x!T>, %q: tensor<?x?x6x32x!T>, %k: tensor<?x?x2x32x!T>, %v: tensor<?x?x2x16x!T>,
                    %cos: tensor<?x16x!T>, %sin: tensor<?x16x!T>, %p: tensor<?x?xi64>, %size: tensor<?xi64>, %n: tensor<?xi64>)
        -> (tensor<?x2x?x32x!T>, tensor<?x2x?x16x!T>, tensor<?x?x6x16x!T>) {
      %c0 = arith.constant 0 : index
      %b = tensor.dim %pk, %c0 : tensor<?x2x?x32x!T>
      %t = tensor.dim %size, %c0 : tensor<?xi64>
      %dk = tensor.empty(%b, %t) : tensor<?x2x?x32x!T>
      %dv = tensor.empty(%b, %t) : tensor<?x2x?x16x!T>
      %qr = attn.rope %q, %cos, %sin positions(%p : tensor<?x?xi64>) : tensor<?x?x6x32x!T>, tensor<?x16x!T>, tensor<?x16x!T> -> tensor<?x?x6x32x!T>
      %kr = attn.rope %k, %cos, %sin positions(%p : tensor<?x?xi64>) : tensor<?x?x2x32x!T>, tensor<?x16x!T>, tensor<?x16x!T> -> tensor<?x?x2x32x!T>
      %ka = attn.cache_append %pk, %kr lengths(%n : tensor<?xi64>) outs(%dk : tensor<?x2x?x32x!T>) : tensor<?x2x?x32x!T>, tensor<?x?x2x32x!T> -> tensor<?x2x?x32x!T>
      %va = attn.cache_append %pv, %v lengths(%n : tensor<?xi64>) outs(%dv : tensor<?x2x?x16x!T>) : tensor<?x2x?x16x!T>, tensor<?x?x2x16x!T> -> tensor<?x2x?x16x!T>
      %y = attn.attention %qr, %ka, %va q_offsets(%n : tensor<?xi64>) {scale = 0.25 : f64, right = 0} : tensor<?x?x6x32x!T>, tensor<?x2x?x32x!T>, tensor<?x2x?x16x!T> -> tensor<?x?x6x16x!T>
      return %ka, %va, %y : tensor<?x2x?x32x!T>, tensor<?x2x?x16x!T>, tensor<?x?x6x16x!T>
    })mlir";

/// What a present of `rows` is by the definition.
inline Array appended(const Array &past, const Array &update, int64_t rows,
                      llvm::function_ref<int64_t(int64_t)> lengthOf) {
  Array expected = zeros({past.shape[0], past.shape[1], rows, past.shape[3]}, past.type);
  for (int64_t b = 0; b < past.shape[0]; ++b)
    for (int64_t m = 0; m < past.shape[1]; ++m)
      for (int64_t t = 0; t < rows; ++t)
        for (int64_t d = 0; d < past.shape[3]; ++d) {
          int64_t row = t - lengthOf(b);
          expected.at({b, m, t, d}) = row >= 0 && row < update.shape[1] ? update.at({b, row, m, d})
                                      : t < past.shape[2]               ? past.at({b, m, t, d})
                                                                        : 0;
        }
  return expected;
}

} // namespace moec::test
