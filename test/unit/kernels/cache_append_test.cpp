// The generated append writes what the op's description says, with and without
// lengths, in every element type, in memory of its own and in that of the past.
#include "test/unit/kernels/cache_append_cases.h"
#include "test/unit/kernels/typed_program.h"

using namespace moec;
using namespace moec::test;

namespace {

class CacheAppendTest : public ChipSuite {};

TEST_P(CacheAppendTest, CopiesWritesAndZeroes) {
  for (const ElementType &element : kFloats)
    for (int64_t depth : {64, 19})
      for (bool lengths : {false, true}) {
        Program program(withType(cacheAppend(depth, lengths), element.name), "", GetParam());
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
