// Weights are packed from any place of the model's files, slice by slice.
#include "lib/weights/Pack.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/FileSystem.h"
#include "gtest/gtest.h"
#include <random>

using namespace moec;

namespace {

/// A file of random f32, or of their upper halves.
class PackTest : public testing::Test {
protected:
  ~PackTest() override { (void)llvm::sys::fs::remove(path); }

  void write(size_t count, bool isBf16 = false) {
    std::mt19937 random(3);
    std::error_code error = llvm::sys::fs::createTemporaryFile("pack", "bin", path);
    ASSERT_FALSE(error);
    llvm::raw_fd_ostream stream(path, error);
    for (size_t i = 0; i < count; ++i) {
      // Eight bits of precision: the same value in f32 and bf16.
      float value = static_cast<int>(random() % 256) - 128;
      values.push_back(value);
      uint32_t bits = llvm::bit_cast<uint32_t>(value);
      if (isBf16)
        bits >>= 16;
      stream.write(reinterpret_cast<const char *>(&bits), isBf16 ? 2 : 4);
    }
  }

  std::vector<float> run(const PackStep &step) {
    // Through the attribute, as the compiler does.
    auto parsed = PackStep::parse(step.toAttr(&context));
    EXPECT_TRUE(static_cast<bool>(parsed));
    auto file = llvm::cantFail(FileSlices::open(path));
    std::vector<float> result;
    size_t largest = 0;
    llvm::Error error = pack(
        *parsed, [&](llvm::StringRef) -> llvm::Expected<const FileSlices *> { return &file; },
        [&](llvm::ArrayRef<char> bytes) {
          auto *floats = reinterpret_cast<const float *>(bytes.data());
          result.insert(result.end(), floats, floats + bytes.size() / 4);
          largest = std::max(largest, bytes.size());
        });
    EXPECT_FALSE(static_cast<bool>(error));
    EXPECT_LE(largest, 16u << 20);
    return result;
  }

  /// Compares with the definition of the layout, given each matrix's elements.
  void expectPacked(const PackStep &step,
                    const std::function<float(int64_t, int64_t, int64_t)> &element) {
    const PackedLayout &layout = step.layout;
    std::vector<float> packed = run(step);
    auto [groups, panels, depth, width] = layout.shape();
    ASSERT_EQ(packed.size(), size_t(groups * panels * depth * width));
    for (size_t i = 0; i < packed.size(); ++i) {
      int64_t lane = i % width, k = i / width % depth, panel = i / width / depth % panels;
      int64_t group = i / width / depth / panels;
      int64_t part = lane / layout.resultWidth();
      int64_t column = panel * layout.resultWidth() + lane % layout.resultWidth();
      float expected = column < layout.resultColumns()
                           ? element(group, layout.matrixRow(column, part), k)
                           : 0.0f;
      ASSERT_EQ(packed[i], expected) << "at " << i;
    }
  }

  mlir::MLIRContext context;
  mlir::Type f32 = mlir::Float32Type::get(&context);
  mlir::Type bf16 = mlir::BFloat16Type::get(&context);
  llvm::SmallString<128> path;
  std::vector<float> values;
};

TEST_F(PackTest, RowsOfEveryGate) {
  constexpr int64_t kGroups = 3, kN = 22, kK = 5;
  write(4 + kGroups * kN * kK);
  for (GateRows gate : {GateRows::none, GateRows::interleaved, GateRows::halves}) {
    PackStep step{{kGroups, kN, kK, 8, gate}, {{"", 16, f32, 0, 0, kGroups, kN, {kN * kK, kK, 1}}}};
    expectPacked(
        step, [&](int64_t g, int64_t n, int64_t k) { return values[4 + (g * kN + n) * kK + k]; });
  }
}

TEST_F(PackTest, TransposedAndNarrow) {
  constexpr int64_t kGroups = 2, kN = 18, kK = 7;
  write(kGroups * kN * kK, /*isBf16=*/true);
  for (GateRows gate : {GateRows::none, GateRows::interleaved, GateRows::halves}) {
    PackStep step{{kGroups, kN, kK, 8, gate}, {{"", 0, bf16, 0, 0, kGroups, kN, {kN * kK, 1, kN}}}};
    expectPacked(step,
                 [&](int64_t g, int64_t n, int64_t k) { return values[(g * kK + k) * kN + n]; });
  }
}

/// A matrix per group and half, as exporters write lists of experts.
TEST_F(PackTest, MatricesFromManyPlaces) {
  constexpr int64_t kGroups = 3, kHalf = 9, kK = 4;
  write(2 * kGroups * kHalf * kK);
  PackStep step{{kGroups, 2 * kHalf, kK, 8, GateRows::halves}, {}};
  for (int64_t g = 0; g < kGroups; ++g)
    for (int64_t half = 0; half < 2; ++half)
      step.parts.push_back({"",
                            uint64_t((half * kGroups + g) * kHalf * kK * 4),
                            f32,
                            g,
                            half * kHalf,
                            1,
                            kHalf,
                            {0, kK, 1}});
  expectPacked(step, [&](int64_t g, int64_t n, int64_t k) {
    return values[((n / kHalf * kGroups + g) * kHalf + n % kHalf) * kK + k];
  });
}

TEST_F(PackTest, LargeWeightsComeInSlices) {
  constexpr int64_t kN = 200, kK = 30000;
  write(kN * kK);
  PackStep step{{1, kN, kK, 64, GateRows::none}, {{"", 0, f32, 0, 0, 1, kN, {0, kK, 1}}}};
  expectPacked(step, [&](int64_t, int64_t n, int64_t k) { return values[n * kK + k]; });
}

TEST_F(PackTest, FilesThatAreTooShortAreNamed) {
  write(10);
  auto file = llvm::cantFail(FileSlices::open(path));
  PackStep step{{1, 8, 8, 8, GateRows::none}, {{"", 0, f32, 0, 0, 1, 8, {0, 8, 1}}}};
  llvm::Error error = pack(
      step, [&](llvm::StringRef) -> llvm::Expected<const FileSlices *> { return &file; },
      [](llvm::ArrayRef<char>) {});
  EXPECT_NE(llvm::toString(std::move(error)).find(path.str()), std::string::npos);
}

} // namespace
