// Sums of three slots a token, in the element type !T.
#pragma once

#include "test/unit/dialects/program.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

namespace moec::test {

inline std::string combine(int64_t hidden, bool weights, bool addend) {
  std::string y = llvm::formatv("tensor<?x{0}x!T>", hidden);
  return llvm::formatv(R"mlir(
    func.func @main(%rows: tensor<?x{0}xf32>, %positions: tensor<?x3xi32>, %w: tensor<?x3xf32>, %a: {1}) -> {1} {{
      %y = moe.combine %rows, %positions {2} {3} {{element = !T} : tensor<?x{0}xf32>, tensor<?x3xi32> -> {1}
      return %y : {1}
    })mlir",
                       hidden, y, weights ? "weights(%w : tensor<?x3xf32>)" : "",
                       addend ? "addend(%a : " + y + ")" : "")
      .str();
}

/// Of `tokens` tokens, some of whose slots have no row.
inline std::vector<Array> combineInputs(std::mt19937 &random, int64_t tokens, int64_t hidden,
                                        moec_element_type type) {
  Array rows = randomArray(random, {3 * tokens, hidden});
  // Whoever reads the first row for a slot without one must not add it.
  for (int64_t h = 0; tokens && h < hidden; ++h)
    rows.at({0, h}) = NAN;
  Array positions = randomIntegers(random, {tokens, 3}, -1, 3 * tokens - 1, MOEC_I32);
  for (double &position : positions.values)
    position = position == 0 ? -1 : position;
  return {rows, positions, randomArray(random, {tokens, 3}),
          randomArray(random, {tokens, hidden}, type)};
}

} // namespace moec::test
