#include "test/unit/kernels/attention_cases.h"
#include "test/unit/kernels/mutation/launches.h"

using namespace moec;
using namespace moec::test;

namespace {

class AttentionLaunches : public testing::Test {
protected:
  /// The last row sees all keys, the first ones some; others see none, for they only
  /// have to be many.
  std::vector<Array> inputs(const Form &form, const Sizes &s, moec_element_type type) {
    constexpr int64_t kSome = 12;
    Array lengths = randomIntegers(random, {s.batch}, s.keys / 2, s.keys);
    Array offsets = randomIntegers(random, {s.batch}, s.keys / 4, s.keys - s.keys / 4);
    for (int64_t row = kSome; row < s.batch; ++row)
      lengths.at({row}) = offsets.at({row}) = 0;
    lengths.at({s.batch - 1}) = s.keys;
    offsets.at({s.batch - 1}) = std::max<int64_t>(s.keys - s.queries, 0);
    return inputs(form, s, type, lengths, offsets);
  }
  /// Few keys are masked.
  std::vector<Array> inputs(const Form &form, const Sizes &s, moec_element_type type,
                            const Array &lengths, const Array &offsets) {
    Array mask = randomIntegers(random, {s.batch, 1, s.queries, s.keys}, 0, 7, MOEC_BOOL);
    for (double &value : mask.values)
      value = value != 0;
    return form.inputs(randomArray(random, {s.batch, s.queries, s.heads, s.depth}, type),
                       randomArray(random, {s.batch, s.kvHeads, s.keys, s.depth}, type),
                       randomArray(random, {s.batch, s.kvHeads, s.keys, s.valueDepth}, type),
                       randomArray(random, {1, s.heads, 1, std::max<int64_t>(s.keys - 2, 0)}, type),
                       mask, randomArray(random, {s.heads}, type), lengths, offsets);
  }

  /// What the first row sees ends with a chunk. The last one's window begins where
  /// its keys end, or else its last query sees whole chunks alone.
  std::vector<Array> atBorders(const Form &form, const Sizes &s, moec_element_type type) {
    const int64_t last = s.batch - 1, behind = form.right + s.queries;
    const int64_t wholeChunks = s.keys / form.chunk * form.chunk, quarter = s.keys / 4;
    Array lengths = zeros({s.batch}, MOEC_I64), offsets = lengths;
    lengths.at({0}) = wholeChunks;
    offsets.at({0}) = s.keys - s.queries;
    lengths.at({last}) = form.left < 0 ? s.keys : quarter;
    offsets.at({last}) =
        form.left < 0 ? llvm::alignTo(behind, form.chunk) - behind : quarter + form.left;
    return inputs(form, s, type, lengths, offsets);
  }

  /// Some columns of some values are not finite.
  std::vector<Array> infinite(std::vector<Array> inputs, const Sizes &s) {
    for (int64_t key = 5; key < s.keys; key += 30)
      for (int64_t column = key % 3; column < s.valueDepth; column += 3)
        inputs[2].at({key % 2 ? s.batch - 1 : 0, 0, key, column}) = key % 4 ? INFINITY : NAN;
    return inputs;
  }

  /// Ends of chunks, prefills, values that are not finite, a token after the prefills
  /// if rows are few, and no keys at all.
  void attend(Form form, const Sizes &sizes, const char *name, moec_element_type type) {
    form = withSizes(form, sizes);
    form.type = name;
    // The first finds memory that no launch before has written.
    std::vector<std::vector<Array>> launches{atBorders(form, sizes, type)};
    for (int i = 0; i < 4; ++i)
      launches.push_back(inputs(form, sizes, type));
    launches.push_back(infinite(inputs(form, sizes, type), sizes));
    Sizes decoded = sizes;
    decoded.queries = 1;
    if (sizes.batch < 100)
      launches.push_back(inputs(form, decoded, type));
    Sizes empty = sizes;
    empty.keys = 0;
    launches.push_back(inputs(form, empty, type));
    launch(form.source(), launches);
  }

  std::mt19937 random{7};
};

TEST_F(AttentionLaunches, InF32) {
  attend({.mask = true, .lengths = true, .offsets = true, .right = 0}, {2, 5, 6, 2, 150, 24, 16},
         "f32", MOEC_F32);
}
/// No unit of 16 bytes divides a row.
TEST_F(AttentionLaunches, OfOddWidths) {
  attend({.bias = true, .lengths = true, .offsets = true, .left = 70, .right = 9, .softcap = 5},
         {2, 6, 6, 2, 150, 21, 13}, "bf16", MOEC_BF16);
}
/// So many queries that each key of a chunk is the last that a row sees.
TEST_F(AttentionLaunches, InBf16) {
  attend({.sink = true, .lengths = true, .offsets = true, .left = 90, .right = 0},
         {2, 31, 6, 2, 150, 40, 72}, "bf16", MOEC_BF16);
}
/// More chunks than lanes that find their weights, and chunks that no tile of keys
/// fills.
TEST_F(AttentionLaunches, OfManyChunks) {
  attend({.lengths = true, .offsets = true, .right = 0, .chunk = 3}, {2, 5, 2, 1, 140, 8, 136},
         "f32", MOEC_F32);
}
/// So many tiles that chunks are merged in registers; o has two parts.
TEST_F(AttentionLaunches, OfManyTiles) {
  attend({.sink = true, .lengths = true, .offsets = true, .right = 0}, {129, 13, 2, 1, 77, 16, 136},
         "bf16", MOEC_BF16);
  attend({.mask = true, .lengths = true, .offsets = true, .right = 0}, {129, 13, 2, 1, 77, 16, 72},
         "f32", MOEC_F32);
}

} // namespace
