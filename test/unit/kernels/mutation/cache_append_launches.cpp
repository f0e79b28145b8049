#include "test/unit/kernels/cache_append_cases.h"
#include "test/unit/kernels/mutation/launches.h"
#include "test/unit/kernels/rope_cases.h"
#include "test/unit/kernels/typed_program.h"

using namespace moec;
using namespace moec::test;

namespace {

class CacheAppendLaunches : public testing::Test {
protected:
  std::mt19937 random{7};
};

/// None before; room behind; less room than there is to append.
TEST_F(CacheAppendLaunches, Copies) {
  for (auto [element, depth, lengths] :
       {std::tuple(kFloats[0], 72, true), std::tuple(kFloats[0], 19, false),
        std::tuple(kFloats[2], 72, false), std::tuple(kFloats[2], 19, true)}) {
    std::vector<std::vector<Array>> inputs;
    for (auto [past, update, present] :
         {std::tuple(130, 5, 135), std::tuple(0, 3, 70), std::tuple(6, 9, 8)})
      inputs.push_back({randomArray(random, {3, 2, past, depth}, element.type),
                        randomArray(random, {3, update, 2, depth}, element.type),
                        zeros({present}, MOEC_I64), randomIntegers(random, {3}, 0, past)});
    std::string text = withType(cacheAppend(depth, lengths), element.name);
    launchSliced(text, "past", 0, inputs);
    launchSliced(text, "new", 1, inputs);
  }
}

/// The state moves to more room, and grows in place.
TEST_F(CacheAppendLaunches, RotatesIntoAState) {
  for (auto [element, depth, pairs] :
       {std::tuple(kFloats[0], 64, 24), std::tuple(kFloats[2], 32, 16),
        std::tuple(kFloats[2], 40, 12)}) {
    Rotation form{false, true, 2, depth, pairs};
    std::vector<std::vector<Array>> inputs;
    int64_t past = 0;
    for (auto [update, present] :
         {std::pair(20, 20), std::pair(1, 21), std::pair(1, 22), std::pair(3, 30)}) {
      std::vector<Array> each = form.inputs(random, element.type, 2, update);
      // The second row has less behind it at last.
      Array lengths = array({2}, {double(past), double(std::min<int64_t>(past, 21))}, MOEC_I64);
      inputs.push_back(
          {{}, each[0], each[1], each[2], each[3], zeros({present}, MOEC_I64), lengths});
      past = present;
    }
    // A past that is elsewhere.
    std::vector<Array> copied = form.inputs(random, element.type, 2, 5);
    inputs.push_back({randomArray(random, {2, 2, 20, depth}, element.type), copied[0], copied[1],
                      copied[2], copied[3], zeros({40}, MOEC_I64), array({2}, {20, 7}, MOEC_I64)});
    launchSliced(withType(rotatedAppend(depth, pairs), element.name), "x", 1, inputs);
  }
}

/// Queries, keys and values in one kernel.
TEST_F(CacheAppendLaunches, UpdatesWhatAttentionReads) {
  for (const ElementType &element : {kFloats[0], kFloats[2]}) {
    std::vector<std::vector<Array>> inputs;
    for (auto [past, added] : {std::pair(0, 40), std::pair(40, 1), std::pair(3, 2)}) {
      auto values = [&](std::vector<int64_t> shape) {
        return randomArray(random, std::move(shape), element.type);
      };
      inputs.push_back({values({3, 2, past, 32}), values({3, 2, past, 16}),
                        values({3, added, 6, 32}), values({3, added, 2, 32}),
                        values({3, added, 2, 16}), values({64, 16}), values({64, 16}),
                        randomIntegers(random, {3, added}, 0, 63), zeros({past + added}, MOEC_I64),
                        array({3}, std::vector<double>(3, past), MOEC_I64)});
    }
    launchSliced(withType(kAppendsAndAttention, element.name), "q", 2, inputs);
  }
}

} // namespace
