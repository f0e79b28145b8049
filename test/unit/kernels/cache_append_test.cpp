// The generated append writes what the op's description says, with and without
// lengths, in every element type, in memory of its own and in that of the past.
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

/// What a present of `rows` is by the definition.
Array appended(const Array &past, const Array &update, int64_t rows,
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
          Array expected = appended(old, added, present, [&](int64_t b) {
            return lengths ? int64_t(counts.values[b]) : past;
          });
          for (int64_t split : {1, 1000}) {
            std::vector<Array> results =
                program.run({old, added, zeros({present}, MOEC_I64), counts}, split);
            ASSERT_EQ(results.size(), 1u);
            EXPECT_TRUE(identical(results[0], expected)) << past << " " << update;
            if (present < past)
              continue;
            // In the memory of the past, which has room.
            Program::Room room{0, 2, present};
            results = program.run({old, added, zeros({present}, MOEC_I64), counts}, split, room);
            ASSERT_EQ(results.size(), 1u);
            EXPECT_TRUE(identical(results[0], expected)) << past << " " << update << " in place";
          }
        }
      }
}

MOEC_ON_ALL_CHIPS(CacheAppendTest);

} // namespace
