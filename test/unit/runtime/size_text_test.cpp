// Sizes of the memory plan have the value that their text says.
#include "runtime/SizeText.h"
#include "gtest/gtest.h"

using namespace moec::runtime;

namespace {

TEST(SizeText, SumsAndProductsOfDimensions) {
  Symbols symbols;
  for (auto [name, size] : {std::pair("batch", 3), {"sequence", 5}, {"past + new", 11}})
    ASSERT_FALSE(symbols.bind({-1, name}, size, "x", 0));
  const std::pair<const char *, int64_t> cases[] = {
      {"batch", 3},
      {"7", 7},
      {"batch * sequence * 2", 30},
      {"(batch + sequence)", 8},
      {"(batch + sequence) * 4 * batch", 96},
      {"((sequence - batch) + 1)", 3},
      {"batch * (past + new)", 33},
      {"past + new", 11},
      {"max(batch, sequence) * 2", 10},
      {"min((batch + 4), sequence)", 5},
      {"ceildiv(sequence, batch) * 4", 8},
      {"floordiv(sequence, batch)", 1},
      {"mod(sequence, batch)", 2},
      {"broadcast(sequence, batch)", 5},
      {"broadcast(1, batch)", 3},
      {"ceildiv(max((past + new), batch), 4)", 3},
      // What is not known, no size, or no text of a size.
      {"other", -1},
      {"batch * other", -1},
      {"f(batch)", -1},
      {"f(batch, sequence) * 4", -1},
      {"(f(batch) + 1)", -1},
      {"(batch - sequence)", -1},
      {"ceildiv(sequence, 0)", -1},
      {"floordiv((batch - sequence), 2)", -1},
      {"max(batch)", -1},
      {"max(batch, sequence", -1},
      {"max(batch, sequence, 2)", -1},
      {"batch * 9223372036854775807", -1},
      {"(batch", -1},
      {"batch)", -1},
      {"batch +", -1},
      {"", -1},
  };
  for (auto [text, size] : cases)
    EXPECT_EQ(evaluateSize(text, symbols), size) << text;
}

} // namespace
