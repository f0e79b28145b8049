// What a tensor map says is what copies move: columns of pixels, and what kernels change
// it to.
#include "Gpu.h"

#include <fstream>
#include <numeric>
#include <sstream>

namespace {

/// A convolution over images of floats, NHWC, whose column of pixels is 16 long and 8
/// channels wide.
struct Convolution {
  int channels = 12, width = 7, height = 5, images = 2;
  int taps = 3, padding = 1, stride = 1, dilation = 1;

  int outputs(int size) const {
    return (size + 2 * padding - (taps - 1) * dilation - 1) / stride + 1;
  }
  int outWidth() const { return outputs(width); }
  int outHeight() const { return outputs(height); }
  size_t elements() const { return size_t(channels) * width * height * images; }

  /// The corners are those of the first and of the last filter's upper left tap.
  CUresult mapOf(CUdeviceptr address, CUtensorMap &map) const {
    cuuint64_t dimensions[] = {cuuint64_t(channels), cuuint64_t(width), cuuint64_t(height),
                               cuuint64_t(images)};
    cuuint64_t strides[] = {4u * channels, 4u * channels * width, 4u * channels * width * height};
    int lower[] = {-padding, -padding};
    int upper[] = {padding - (taps - 1) * dilation, padding - (taps - 1) * dilation};
    cuuint32_t steps[] = {1, cuuint32_t(stride), cuuint32_t(stride), 1};
    return cuTensorMapEncodeIm2col(&map, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 4,
                                   reinterpret_cast<void *>(address), dimensions, strides, lower,
                                   upper, 8, 16, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
                                   CU_TENSOR_MAP_SWIZZLE_NONE, CU_TENSOR_MAP_L2_PROMOTION_NONE,
                                   CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  }

  /// What tap (r, s) of output number `output` multiplies, in channel c; none outside.
  std::optional<size_t> index(int output, int r, int s, int c) const {
    int q = output % outWidth(), p = output / outWidth() % outHeight();
    int n = output / outWidth() / outHeight();
    int w = q * stride - padding + s * dilation, h = p * stride - padding + r * dilation;
    if (c >= channels || w < 0 || w >= width || h < 0 || h >= height || n >= images)
      return std::nullopt;
    return ((size_t(n) * height + h) * width + w) * channels + c;
  }
};

class Im2col : public GpuTest {
protected:
  /// Every column of every tap.
  void expectLoads(const Convolution &convolution) {
    CUfunction function = kernel(load("im2col"), "load");
    std::vector<float> image(convolution.elements());
    std::iota(image.begin(), image.end(), 1.0f);
    Buffer<float> x(image), out(16 * 8);
    CUtensorMap map;
    GPU_CHECK(convolution.mapOf(x.address, map));
    int outputs = convolution.outWidth() * convolution.outHeight() * convolution.images;
    for (int first = 0; first < outputs; first += 16)
      for (int tap = 0; tap < convolution.taps * convolution.taps; ++tap)
        for (int c = 0; c < convolution.channels; c += 8) {
          int r = tap / convolution.taps, s = tap % convolution.taps;
          int q = first % convolution.outWidth();
          int p = first / convolution.outWidth() % convolution.outHeight();
          int n = first / convolution.outWidth() / convolution.outHeight();
          GPU_CHECK(launch(function, {1}, {32}, 0, map, out.address, c,
                           q * convolution.stride - convolution.padding,
                           p * convolution.stride - convolution.padding, n,
                           uint16_t(s * convolution.dilation), uint16_t(r * convolution.dilation)));
          std::vector<float> column = out.get();
          for (int i = 0; i < 16 * 8; ++i) {
            std::optional<size_t> index = convolution.index(first + i / 8, r, s, c + i % 8);
            ASSERT_EQ(column[i], index ? image[*index] : 0.0f)
                << "pixel " << i / 8 << ", channel " << i % 8 << " of tap " << tap
                << " from output " << first << ", channel " << c;
          }
        }
  }
};

TEST_F(Im2col, ColumnsAreThoseOfAConvolution) { expectLoads({}); }

TEST_F(Im2col, StridesAndDilationsStepOverPixels) {
  expectLoads({.channels = 8, .width = 11, .height = 9, .stride = 2});
  expectLoads({.channels = 8, .width = 9, .height = 8, .padding = 2, .dilation = 2});
}

TEST_F(Im2col, StoresKeepWhatIsOutside) {
  Convolution convolution{.taps = 1, .padding = 0};
  Buffer<float> x(convolution.elements());
  x.clear();
  CUtensorMap map;
  GPU_CHECK(convolution.mapOf(x.address, map));
  // The last 3 pixels of the last row, and 13 that are none.
  GPU_CHECK(launch(kernel(load("im2col"), "store"), {1}, {32}, 0, map, 8, 4, 4, 1));
  std::vector<float> expected(convolution.elements());
  for (int pixel = 0; pixel < 3; ++pixel)
    for (int c = 8; c < 12; ++c)
      expected[*convolution.index(2 * 7 * 5 - 3 + pixel, 0, 0, c)] = float(8 * pixel + c - 8);
  EXPECT_EQ(x.get(), expected);
}

TEST_F(Im2col, MapsAndCopiesHaveToAgree) {
  CUfunction function = kernel(load("im2col"), "load");
  Convolution convolution;
  Buffer<float> x(convolution.elements()), out(16 * 8);
  CUtensorMap map;
  GPU_CHECK(convolution.mapOf(x.address, map));
  GPU_CHECK(
      launch(function, {1}, {32}, 0, map, out.address, 0, 6, -1, 0, uint16_t(0), uint16_t(0)));
  EXPECT_EQ(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_INSTRUCTION);
  std::string findings = takeFindings();
  EXPECT_NE(findings.find("the first pixel lies outside of the bounding box"), std::string::npos)
      << findings;
}

TEST_F(Im2col, TiledMapsAreRefused) {
  CUfunction function = kernel(load("im2col"), "load");
  Buffer<float> x(12 * 7 * 5 * 2), out(16 * 8);
  cuuint64_t dimensions[] = {12, 7, 5, 2}, strides[] = {48, 48 * 7, 48 * 7 * 5};
  cuuint32_t box[] = {8, 4, 4, 1}, steps[] = {1, 1, 1, 1};
  CUtensorMap map;
  GPU_CHECK(cuTensorMapEncodeTiled(
      &map, CU_TENSOR_MAP_DATA_TYPE_FLOAT32, 4, reinterpret_cast<void *>(x.address), dimensions,
      strides, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
      CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE));
  GPU_CHECK(launch(function, {1}, {32}, 0, map, out.address, 0, 0, 0, 0, uint16_t(0), uint16_t(0)));
  EXPECT_EQ(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_INSTRUCTION);
  std::string findings = takeFindings();
  EXPECT_NE(findings.find("the tensor map is for tiles"), std::string::npos) << findings;
}

// What the driver rejects.
TEST_F(Im2col, MapsHaveLimits) {
  CUtensorMap map;
  auto result = [&](Convolution convolution) { return convolution.mapOf(0x1000, map); };
  EXPECT_EQ(result({}), CUDA_SUCCESS);
  testing::internal::CaptureStderr();
  EXPECT_EQ(result({.padding = 129}), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(result({.taps = 9, .padding = 0}), CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(result({.channels = 3}), CUDA_ERROR_INVALID_VALUE);
  std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("the corner of dimension 1 of the pixels' box is -129, outside of -128 to "
                      "127"),
            std::string::npos)
      << said;
  EXPECT_NE(said.find("the pixels' box is empty, because of dimension 1 it is from 0 to -2"),
            std::string::npos)
      << said;
}

// --- Maps that kernels change

class ChangedMaps : public GpuTest {
protected:
  void SetUp() override {
    GpuTest::SetUp();
    std::ifstream file(VGPU_TEST_KERNELS "/tensor_maps.ptx");
    std::stringstream stream;
    stream << file.rdbuf();
    text = stream.str();
    std::iota(values.begin(), values.end(), 1.0f);
    x = std::make_unique<Buffer<float>>(values);
    map = std::make_unique<Buffer<uint8_t>>(128);
    out = std::make_unique<Buffer<float>>(32);
  }
  void TearDown() override {
    x.reset(), map.reset(), out.reset();
    GpuTest::TearDown();
  }

  /// A map of another tensor, of other types.
  CUtensorMap makeTemplate() {
    CUtensorMap made;
    cuuint64_t dimensions[] = {64, 16, 4}, strides[] = {128, 2048};
    cuuint32_t box[] = {32, 8, 2}, steps[] = {1, 2, 1};
    EXPECT_EQ(cuTensorMapEncodeTiled(&made, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 3,
                                     reinterpret_cast<void *>(x->address), dimensions, strides, box,
                                     steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
                                     CU_TENSOR_MAP_SWIZZLE_64B, CU_TENSOR_MAP_L2_PROMOTION_NONE,
                                     CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA),
              CUDA_SUCCESS);
    return made;
  }
  /// Rows of 12 floats, of which 3 are in the tensor, beginning at the float `first`.
  void publish(int first) {
    GPU_CHECK(launch(kernel(loadText(text), "publish"), {1}, {32}, 0, makeTemplate(), map->address,
                     x->address + 4 * first, 5, 3, uint64_t{48}));
  }
  void expectLoad(int first) {
    GPU_CHECK(launch(kernel(loadText(text), "load"), {1}, {32}, 0, map->address, out->address));
    std::vector<float> tile = out->get();
    for (int row = 0; row < 4; ++row)
      for (int column = 0; column < 8; ++column)
        EXPECT_EQ(tile[8 * row + column],
                  column < 5 && row < 3 ? values[first + 12 * row + column] : 0.0f)
            << row << ", " << column;
  }
  void expectFound(const std::string &what) {
    std::string findings = takeFindings();
    EXPECT_NE(findings.find(what), std::string::npos) << findings;
  }
  void replace(const std::string &from, const std::string &to) {
    size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
  }

  std::string text;
  std::vector<float> values = std::vector<float>(12 * 8);
  std::unique_ptr<Buffer<float>> x, out;
  std::unique_ptr<Buffer<uint8_t>> map;
};

TEST_F(ChangedMaps, SayWhereTheTensorIs) {
  publish(16);
  expectLoad(16);
  GPU_CHECK(
      launch(kernel(loadText(text), "move"), {1}, {1}, 0, map->address, x->address + 64 + 48));
  expectLoad(16 + 12);
}

constexpr const char *kAcquire = "fence.proxy.tensormap::generic.acquire.gpu [%map], 128;";

TEST_F(ChangedMaps, NeedAnAcquire) {
  replace(kAcquire, "");
  publish(0);
  expectLoad(0);
  expectFound("no fence.proxy.tensormap::generic.acquire of the block comes before");
}

TEST_F(ChangedMaps, NeedARelease) {
  publish(0);
  replace("fence.proxy.tensormap::generic.release.gpu;", "");
  GPU_CHECK(launch(kernel(loadText(text), "move"), {1}, {1}, 0, map->address, x->address));
  expectLoad(0);
  expectFound("the tensor map was changed, and not released and acquired since then");
}

TEST_F(ChangedMaps, AreCheckedWhenTheyAreUsed) {
  replace("box_dim.shared::cta.b1024.b32 [%copy], 0, 8;",
          "box_dim.shared::cta.b1024.b32 [%copy], 0, 300;");
  publish(0);
  GPU_CHECK(launch(kernel(loadText(text), "load"), {1}, {32}, 0, map->address, out->address));
  EXPECT_EQ(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_INSTRUCTION);
  expectFound("tensor map: the box is 300 of dimension 0, outside of 1 to 256");
}

TEST_F(ChangedMaps, NeedAMapToBegin) {
  replace("st.shared.u32 [%at], %value;", "st.shared.u32 [%at], %lane;");
  publish(0);
  EXPECT_EQ(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_INSTRUCTION);
  expectFound("there is no tensor map, or its bytes were changed");
}

} // namespace
