// Routers of every kind, on logits of the element type !T.
#pragma once

#include "test/unit/dialects/program.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

namespace moec::test {

struct Router {
  const char *attributes;
  int64_t experts;
  bool bias = false, values = false;

  std::string source() const {
    return llvm::formatv(
               R"mlir(
      func.func @main(%x: tensor<?x{0}x!T>, %b: tensor<{0}xf32>, %v: tensor<?x{0}xf32>) -> (tensor<?x?xi32>, tensor<?x?xf32>) {{
        %ids, %w = moe.route %x {1} {2} {{router = #moe.router<{3}>} : tensor<?x{0}x!T> -> tensor<?x?xi32>, tensor<?x?xf32>
        return %ids, %w : tensor<?x?xi32>, tensor<?x?xf32>
      })mlir",
               experts,
               bias ? llvm::formatv("selection_bias(%b : tensor<{0}xf32>)", experts).str() : "",
               values ? llvm::formatv("values(%v : tensor<?x{0}xf32>)", experts).str() : "",
               attributes)
        .str();
  }

  std::vector<Array> inputs(std::mt19937 &random, int64_t tokens, moec_element_type type) const {
    return {randomArray(random, {tokens, experts}, type), randomArray(random, {experts}),
            randomArray(random, {tokens, experts})};
  }
};

inline constexpr Router kRouters[] = {
    {"top_k = 2, normalize = sum", 8},
    {"top_k = 4, score = raw, normalize = softmax, ties = higher", 37},
    {"top_k = 1, score = raw, normalize = sigmoid", 16},
    {"top_k = 8, score = sigmoid, groups = 8, kept_groups = 4, group_score = top2_sum, normalize = "
     "sum, epsilon = 1.0e-20, scale = 2.5",
     64, true},
    {"top_k = 3, groups = 3, kept_groups = 2, masked = zero, min_weight = 0.05", 21, true, true},
    {"top_k = 2, score = sparse_mixer, jitter = 0.25", 19},
};

/// DeepSeek's, whose decompositions compare many experts.
inline constexpr Router kLargeRouters[] = {
    {"top_k = 6, groups = 8, kept_groups = 3, scale = 16.0", 160},
    {"top_k = 8, score = sigmoid, groups = 8, kept_groups = 4, group_score = top2_sum, normalize = "
     "sum, epsilon = 1.0e-20, scale = 2.5",
     256, true},
};

/// Small integers, both zeros, infinities and NaN.
inline Array numbersOfAllKinds(std::mt19937 &random, std::vector<int64_t> shape) {
  Array x = randomIntegers(random, std::move(shape), -2, 2, MOEC_F32);
  for (double &value : x.values)
    switch (random() % 12) {
    case 0:
      value = NAN;
      break;
    case 1:
      value = random() % 2 ? INFINITY : -INFINITY;
      break;
    case 2:
      value = -0.0;
    }
  return x;
}

/// `count` rows of a matrix.
inline Array rowsOf(const Array &x, int64_t first, int64_t count) {
  int64_t columns = x.shape[1];
  Array rows{x.type, {count, columns}, {}};
  rows.values.assign(x.values.begin() + first * columns,
                     x.values.begin() + (first + count) * columns);
  return rows;
}

} // namespace moec::test
