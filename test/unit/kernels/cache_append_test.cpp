// The generated append writes what the op's description says, with and without
// lengths, in every element type.
#include "test/unit/kernels/typed_program.h"
#include "llvm/Support/FormatVariadic.h"

using namespace moec;
using namespace moec::test;

namespace {

std::string source(int64_t depth, bool lengths) {
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

class CacheAppendTest : public ChipSuite {};

TEST_P(CacheAppendTest, CopiesWritesAndZeroes) {
  for (const ElementType &element : kFloats)
    for (int64_t depth : {64, 19})
      for (bool lengths : {false, true}) {
        Program program(withType(source(depth, lengths), element.name), "", GetParam());
        ASSERT_TRUE(program.valid());
        // More positions than a block; none before; room behind; none of them new.
        for (auto [past, update, present] :
             {std::tuple(130, 5, 135), std::tuple(0, 3, 70), std::tuple(9, 80, 100),
              std::tuple(4, 0, 4), std::tuple(6, 9, 8)}) {
          Array old = randomArray(random, {3, 2, past, depth}, element.type);
          Array added = randomArray(random, {3, update, 2, depth}, element.type);
          Array counts = randomIntegers(random, {3}, 0, past);
          Array expected = zeros({3, 2, present, depth}, element.type);
          for (int64_t b = 0; b < 3; ++b)
            for (int64_t m = 0; m < 2; ++m)
              for (int64_t t = 0; t < present; ++t)
                for (int64_t d = 0; d < depth; ++d) {
                  int64_t row = t - (lengths ? int64_t(counts.values[b]) : past);
                  expected.at({b, m, t, d}) = row >= 0 && row < update ? added.at({b, row, m, d})
                                              : t < past               ? old.at({b, m, t, d})
                                                                       : 0;
                }
          for (int64_t split : {1, 1000}) {
            std::vector<Array> results =
                program.run({old, added, zeros({present}, MOEC_I64), counts}, split);
            ASSERT_EQ(results.size(), 1u);
            EXPECT_TRUE(identical(results[0], expected)) << past << " " << update;
          }
        }
      }
}

MOEC_ON_ALL_CHIPS(CacheAppendTest);

} // namespace
