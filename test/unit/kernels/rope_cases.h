// Rotations of every kind, in the element type !T.
#pragma once

#include "test/unit/dialects/program.h"
#include "llvm/Support/FormatVariadic.h"

namespace moec::test {

struct Rotation {
  bool interleaved, positions;
  int64_t heads, depth, pairs;

  std::string source() const {
    std::string x = llvm::formatv("tensor<?x?x{0}x{1}x!T>", heads, depth);
    std::string cache = llvm::formatv(positions ? "tensor<?x{0}x!T>" : "tensor<?x?x{0}x!T>", pairs);
    return llvm::formatv(R"mlir(
      func.func @main(%x: {0}, %cos: {1}, %sin: {1}{2}) -> {0} {{
        %y = attn.rope{3} %x, %cos, %sin{4} : {0}, {1}, {1} -> {0}
        return %y : {0}
      })mlir",
                         x, cache, positions ? ", %p: tensor<?x?xi64>" : "",
                         interleaved ? " interleaved" : "",
                         positions ? " positions(%p : tensor<?x?xi64>)" : "")
        .str();
  }

  std::vector<Array> inputs(std::mt19937 &random, moec_element_type type, int64_t batch,
                            int64_t tokens) const {
    std::vector<int64_t> cache{batch, tokens, pairs};
    if (positions)
      cache = {50, pairs};
    std::vector<Array> inputs{randomArray(random, {batch, tokens, heads, depth}, type),
                              randomArray(random, cache, type), randomArray(random, cache, type)};
    if (positions)
      inputs.push_back(randomIntegers(random, {batch, tokens}, 0, 49));
    return inputs;
  }
};

} // namespace moec::test
