// Appends by units of heads write what the op's description says, in memory of
// their own and in that of a session's state, rotated on the way or not.
#include "test/unit/kernels/cache_append_cases.h"
#include "test/unit/kernels/device_program.h"
#include "test/unit/kernels/rope_cases.h"
#include "test/unit/kernels/typed_program.h"
#include "gtest/gtest.h"

using namespace moec;
using namespace moec::test;

namespace {

std::mt19937 random_{7};

TEST(CudaCacheAppendTest, CopiesWritesAndZeroes) {
  for (auto [element, depth, lengths] :
       {std::tuple(kFloats[0], 64, true), std::tuple(kFloats[0], 19, false),
        std::tuple(kFloats[2], 64, false), std::tuple(kFloats[2], 19, true)}) {
    DeviceProgram program(withType(cacheAppend(depth, lengths), element.name), testedCudaChip());
    ASSERT_TRUE(program.valid());
    // None before; room behind; none of them new.
    for (auto [past, update, present] : {std::tuple(130, 5, 135), std::tuple(0, 3, 70),
                                         std::tuple(4, 0, 4), std::tuple(6, 9, 8)}) {
      Array old = randomArray(random_, {3, 2, past, depth}, element.type);
      Array added = randomArray(random_, {3, update, 2, depth}, element.type);
      Array counts = randomIntegers(random_, {3}, 0, past);
      std::vector<Array> results = program.run({old, added, zeros({present}, MOEC_I64), counts});
      ASSERT_EQ(results.size(), 1u);
      Array expected = appended(old, added, present, [&](int64_t b) {
        return lengths ? int64_t(counts.values[b]) : past;
      });
      EXPECT_TRUE(identical(results[0], expected)) << past << " " << update;
    }
  }
}

/// The state moves to more room, and grows in place.
TEST(CudaCacheAppendTest, RotatesIntoAState) {
  for (auto [element, depth, pairs] :
       {std::tuple(kFloats[0], 64, 24), std::tuple(kFloats[2], 32, 16)}) {
    Rotation form{false, true, 2, depth, pairs};
    DeviceProgram program(withType(rotatedAppend(depth, pairs), element.name), testedCudaChip());
    Program rotation(withType(form.source(), element.name), "moec-decompose");
    ASSERT_TRUE(program.valid() && rotation.valid());
    Array state = zeros({2, 2, 0, depth}, element.type);
    for (auto [update, present] :
         {std::pair(20, 20), std::pair(1, 21), std::pair(1, 22), std::pair(3, 30)}) {
      std::vector<Array> inputs = form.inputs(random_, element.type, 2, update);
      // The second row has less behind it at last.
      Array lengths = array(
          {2}, {double(state.shape[2]), double(std::min(state.shape[2], int64_t(21)))}, MOEC_I64);
      std::vector<Array> results = program.run(
          {{}, inputs[0], inputs[1], inputs[2], inputs[3], zeros({present}, MOEC_I64), lengths});
      ASSERT_EQ(results.size(), 1u);
      state = appended(state, rotation.run(inputs)[0], present,
                       [&](int64_t b) { return int64_t(lengths.values[b]); });
      EXPECT_TRUE(identical(results[0], state)) << present;
    }
  }
}

TEST(CudaCacheAppendTest, OneKernelUpdatesWhatAttentionReads) {
  const ElementType element = kFloats[0];
  DeviceProgram program(withType(kAppendsAndAttention, element.name), testedCudaChip());
  Program plain(withType(kAppendsAndAttention, element.name), "moec-decompose");
  ASSERT_TRUE(program.valid() && plain.valid());
  for (auto [past, added] : {std::pair(0, 40), std::pair(40, 1), std::pair(3, 2)}) {
    auto random = [&](std::vector<int64_t> shape) {
      return randomArray(random_, std::move(shape), element.type);
    };
    std::vector<Array> inputs{random({3, 2, past, 32}),
                              random({3, 2, past, 16}),
                              random({3, added, 6, 32}),
                              random({3, added, 2, 32}),
                              random({3, added, 2, 16}),
                              random({64, 16}),
                              random({64, 16}),
                              randomIntegers(random_, {3, added}, 0, 63),
                              zeros({past + added}, MOEC_I64),
                              array({3}, std::vector<double>(3, past), MOEC_I64)};
    std::vector<Array> results = program.run(inputs), expected = plain.run(inputs);
    ASSERT_EQ(results.size(), 3u);
    EXPECT_TRUE(identical(results[0], expected[0])) << past;
    EXPECT_TRUE(identical(results[1], expected[1])) << past;
    EXPECT_LT(difference(results[2], expected[2]), element.threshold) << past;
  }
}

} // namespace
