// What the ONNX node tests rely on: the comparison accepts no wrong result, and
// a run that crashes or hangs is one failure.
#include "test/e2e/HostTensor.h"
#include "test/e2e/IsolatedRuns.h"
#include "gtest/gtest.h"
#include <cmath>
#include <csignal>
#include <unistd.h>

using namespace moec::e2e;

namespace {

template <typename T> HostTensor tensor(int32_t type, std::vector<T> values) {
  auto *bytes = reinterpret_cast<const char *>(values.data());
  return {type,
          {static_cast<int64_t>(values.size())},
          std::vector<char>(bytes, bytes + values.size() * sizeof(T))};
}

std::string compareFloats(float expected, float actual) {
  return compare(tensor<float>(MOEC_F32, {expected}), tensor<float>(MOEC_F32, {actual}));
}

TEST(HostTensor, FloatsMayDifferByOnnxsTolerance) {
  EXPECT_EQ(compareFloats(1000, 1000.9f), "");
  EXPECT_EQ(compareFloats(0, 9e-8f), "");
  EXPECT_NE(compareFloats(1000, 1001.1f), "");
  EXPECT_NE(compareFloats(0, 1.1e-7f), "");
}

TEST(HostTensor, InfinitiesAndNotANumberMustBeEqual) {
  EXPECT_EQ(compareFloats(INFINITY, INFINITY), "");
  EXPECT_EQ(compareFloats(NAN, -NAN), "");
  EXPECT_NE(compareFloats(INFINITY, -INFINITY), "");
  EXPECT_NE(compareFloats(INFINITY, 3e38f), "");
  EXPECT_NE(compareFloats(NAN, 0), "");
  EXPECT_NE(compareFloats(0, NAN), "");
}

TEST(HostTensor, IntegersMustBeEqual) {
  EXPECT_EQ(compare(tensor<int64_t>(MOEC_I64, {-5}), tensor<int64_t>(MOEC_I64, {-5})), "");
  EXPECT_EQ(compare(tensor<int64_t>(MOEC_I64, {100000, 7}), tensor<int64_t>(MOEC_I64, {100001, 7})),
            "differs in 1 of 2 elements: 100001 at 0, expected 100000");
}

TEST(HostTensor, HalvesAreReadAsFloats) {
  EXPECT_EQ(compare(tensor<uint16_t>(MOEC_F16, {0x3c00}), tensor<uint16_t>(MOEC_F16, {0x3c01})),
            "");
  EXPECT_NE(compare(tensor<uint16_t>(MOEC_F16, {0x3c00}), tensor<uint16_t>(MOEC_F16, {0x3c02})),
            "");
}

TEST(HostTensor, TypesAndShapesMustBeEqual) {
  EXPECT_NE(compare(tensor<int32_t>(MOEC_I32, {1}), tensor<int32_t>(MOEC_U32, {1})), "");
  EXPECT_NE(compare(tensor<float>(MOEC_F32, {1}), tensor<float>(MOEC_F32, {1, 1})), "");
}

TEST(HostTensor, NibblesUnpackLowFirst) {
  HostTensor packed{MOEC_I4, {3}, {0x21, 0x0c}};
  unpackElements(packed);
  EXPECT_EQ(packed.bytes, (std::vector<char>{1, 2, 12}));
}

TEST(IsolatedRuns, CrashesAndHangsAreResultsOfTheirRun) {
  auto run = [](size_t i) -> std::string {
    if (i == 2) {
      fprintf(stderr, "first line\nwhat it said\n");
      raise(SIGSEGV);
    }
    if (i == 3)
      sleep(60);
    if (i == 5)
      _exit(7);
    return i == 6 ? "two\nlines" : "run " + std::to_string(i);
  };
  std::vector<std::string> results = runIsolated(8, run, {2, 1});
  EXPECT_EQ(results, (std::vector<std::string>{
                         "run 0", "run 1", "crashed: Segmentation fault: what it said", "timed out",
                         "run 4", "ended with status 7", "two lines", "run 7"}));
}

} // namespace
