// Slots sorted by expert.
#pragma once

#include "llvm/Support/FormatVariadic.h"

namespace moec::test {

inline std::string permute(int64_t experts, int64_t topK) {
  return llvm::formatv(R"mlir(
    func.func @main(%ids: tensor<?x{1}xi32>) -> (tensor<{2}xi32>, tensor<?xi32>, tensor<?x{1}xi32>) {{
      %offsets, %slots, %positions = moe.permute %ids {{experts = {0} : i64}
        : tensor<?x{1}xi32> -> tensor<{2}xi32>, tensor<?xi32>, tensor<?x{1}xi32>
      return %offsets, %slots, %positions : tensor<{2}xi32>, tensor<?xi32>, tensor<?x{1}xi32>
    })mlir",
                       experts, topK, experts + 1)
      .str();
}

} // namespace moec::test
