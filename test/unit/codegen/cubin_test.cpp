// CUDA's assembler takes the PTX that is written by hand, and its refusal is an
// error with its own words.
#include "lib/codegen/CubinCode.h"
#include "tools/moec/selfcheck/CudaKernels.h"

#include "llvm/Support/MemoryBuffer.h"
#include "gtest/gtest.h"

namespace {

using namespace moec;
using tools::Source;

class CubinTest : public testing::Test {
protected:
  void SetUp() override {
    if (std::optional<std::string> found = findPtxas())
      ptxas = *found;
    else
      GTEST_SKIP() << "there is no ptxas";
  }

  void expectAssembled(llvm::StringRef ptx, llvm::StringRef chip) {
    llvm::Expected<std::string> cubin = assembleCubin(ptxas, ptx, chip);
    if (!cubin)
      FAIL() << llvm::toString(cubin.takeError());
    EXPECT_TRUE(llvm::StringRef(*cubin).starts_with("\x7f"
                                                    "ELF"));
  }

  std::string ptxas;
};

TEST_F(CubinTest, SelfChecksAssemble) {
  expectAssembled(tools::generalPtx(), "sm_80");
  expectAssembled(tools::generalPtx(), "sm_90a");
  for (const char *type : {"bf16", "f16"})
    for (Source source : {Source::sharedMemory, Source::registers})
      expectAssembled(tools::wgmmaPtx(type, source), "sm_90a");
}

TEST_F(CubinTest, TheToyAssembles) {
  auto ptx = llvm::MemoryBuffer::getFile(TOY_PTX);
  ASSERT_TRUE(ptx) << TOY_PTX;
  for (const char *chip : {"sm_80", "sm_90a"})
    expectAssembled((*ptx)->getBuffer(), chip);
}

TEST_F(CubinTest, RefusalsAreTheAssemblersOwn) {
  llvm::Expected<std::string> cubin =
      assembleCubin(ptxas, ".version 7.0\n.target sm_80\nno such thing\n", "sm_80");
  ASSERT_FALSE(cubin);
  std::string text = llvm::toString(cubin.takeError());
  EXPECT_EQ(text.rfind(ptxas + ": ptxas ", 0), 0u) << text;
  EXPECT_NE(text.find("line 3"), std::string::npos) << text;
  EXPECT_EQ(text.find('\n'), std::string::npos) << text;
}

TEST(Cubin, NeedsAnAssembler) {
  llvm::Expected<std::string> cubin = assembleCubin("/no/ptxas", "", "sm_80");
  ASSERT_FALSE(cubin);
  EXPECT_EQ(llvm::toString(cubin.takeError()).rfind("/no/ptxas: ", 0), 0u);
}

} // namespace
