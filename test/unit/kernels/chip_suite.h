// Tests that run on every chip that this machine can be.
#pragma once

#include "lib/kernels/cpu/Chip.h"
#include "gtest/gtest.h"
#include <algorithm>
#include <random>

namespace moec::test {

class ChipSuite : public testing::TestWithParam<const char *> {
protected:
  void SetUp() override {
    std::optional<Chip> parsed = parseChip(GetParam());
    ASSERT_TRUE(parsed);
    chip = *parsed;
    for (const std::string &feature : chip.required)
      if (!llvm::is_contained(parseChip("native")->required, feature))
        GTEST_SKIP() << "this machine lacks " << feature;
  }

  Chip chip;
  std::mt19937 random{7};
};

} // namespace moec::test

#define MOEC_ON_ALL_CHIPS(SUITE)                                                                   \
  INSTANTIATE_TEST_SUITE_P(Chips, SUITE,                                                           \
                           testing::Values("native", "x86-64-v4", "x86-64-v3", "x86-64-v2"),       \
                           [](const auto &info) {                                                  \
                             std::string name = info.param;                                        \
                             std::replace(name.begin(), name.end(), '-', '_');                     \
                             return name;                                                          \
                           })
