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
