// A chip is what code may use, and what a machine must have to run it.
#include "lib/kernels/cpu/Chip.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"
#include "gtest/gtest.h"

namespace {

bool needs(const moec::Chip &chip, llvm::StringRef feature) {
  return llvm::is_contained(chip.required, feature);
}

#ifdef __x86_64__
TEST(ChipTest, LevelsDifferInVectorsAndFusedMultiplyAdd) {
  auto v2 = moec::parseChip("x86-64-v2"), v3 = moec::parseChip("x86-64-v3"),
       v4 = moec::parseChip("x86-64-v4");
  ASSERT_TRUE(v2 && v3 && v4);
  EXPECT_EQ(v2->vectorBits, 128u);
  EXPECT_EQ(v3->vectorBits, 256u);
  EXPECT_EQ(v4->vectorBits, 512u);
  EXPECT_FALSE(v2->fma);
  EXPECT_TRUE(v3->fma && v4->fma);
  EXPECT_TRUE(needs(*v2, "sse4.2"));
  EXPECT_FALSE(needs(*v2, "avx"));
  EXPECT_TRUE(needs(*v3, "f16c"));
  EXPECT_TRUE(needs(*v4, "avx512dq"));
  EXPECT_FALSE(v4->avx512vnni);
}

TEST(ChipTest, ProcessorsHaveTheirInstructionSets) {
  auto zen4 = moec::parseChip("znver4");
  ASSERT_TRUE(zen4);
  EXPECT_TRUE(zen4->avx512vnni && zen4->avx512bf16);
  EXPECT_TRUE(needs(*zen4, "avx512bf16"));
  EXPECT_FALSE(moec::parseChip("haswell")->avx512vnni);
}
#endif

TEST(ChipTest, NativeIsWhatThisMachineHas) {
  auto chip = moec::parseChip("native");
  ASSERT_TRUE(chip);
  EXPECT_EQ(chip->cpu, llvm::sys::getHostCPUName());
  auto host = llvm::sys::getHostCPUFeatures();
  for (const std::string &feature : chip->required)
    EXPECT_TRUE(host.lookup(feature)) << feature;
}

TEST(ChipTest, OtherNamesAreRefused) {
  EXPECT_FALSE(moec::parseChip("x86-64-v9"));
  EXPECT_FALSE(moec::parseChip(""));
  EXPECT_FALSE(moec::parseChip("i386"));
}

} // namespace
