// Weights are packed from any place of the model's files, slice by slice.
#include "lib/weights/Pack.h"
#include "lib/weights/Quantize.h"
#include "lib/weights/WeightsFile.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/MLIRContext.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/bit.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "gtest/gtest.h"
#include <cmath>
#include <cstring>
#include <map>
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
    std::string bytes = bytesOf(step);
    auto *floats = reinterpret_cast<const float *>(bytes.data());
    return {floats, floats + bytes.size() / 4};
  }

  std::string bytesOf(const PackStep &step) {
    // Through the attribute, as the compiler does.
    auto parsed = PackStep::parse(step.toAttr(&context));
    EXPECT_TRUE(static_cast<bool>(parsed));
    auto file = llvm::cantFail(FileSlices::open(path));
    std::string result;
    size_t largest = 0;
    llvm::Error error = pack(
        *parsed, [&](llvm::StringRef) -> llvm::Expected<const FileSlices *> { return &file; },
        [&](llvm::ArrayRef<char> bytes) {
          result.append(bytes.data(), bytes.size());
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

  /// The element of row n and column k of one group's packed words without gate,
  /// by the definition of the layout; integers relative to the default zero.
  static double unpacked(llvm::StringRef bytes, const PackedLayout &layout, int64_t n, int64_t k,
                         double scale) {
    int64_t bits = bitsOf(layout.element), wordBytes = layout.together * bits / 8;
    int64_t word = ((n / layout.width) * layout.words() + k / layout.together) * layout.width +
                   n % layout.width;
    const char *at = bytes.data() + word * wordBytes;
    int64_t place = k % layout.together;
    if (!isInteger(layout.element)) {
      uint16_t half = reinterpret_cast<const uint16_t *>(at)[place];
      return layout.element == WeightType::f16 ? fromHalf(half) : fromBfloat(half);
    }
    auto byte = static_cast<unsigned char>(at[place % wordBytes]);
    int64_t q = byte >> place / wordBytes * bits & ((1 << bits) - 1);
    return static_cast<double>(q - defaultZero(layout.element)) * scale;
  }

  mlir::MLIRContext context;
  mlir::Type f32 = mlir::Float32Type::get(&context);
  mlir::Type bf16 = mlir::BFloat16Type::get(&context);
  llvm::SmallString<128> path;
  std::vector<float> values;
};

TEST_F(PackTest, ElementsOfFewBitsAreBytesOfTheirOwn) {
  const char packed[] = {0x21, 0x43, 0x05};
  ASSERT_FALSE(llvm::sys::fs::createTemporaryFile("pack", "bin", path));
  ASSERT_FALSE(writeFile(path, [&](llvm::raw_ostream &stream) {
    stream.write(packed, sizeof(packed));
    return llvm::Error::success();
  }));
  WeightSpec weight;
  weight.name = "nibbles";
  weight.type = mlir::RankedTensorType::get({5}, mlir::IntegerType::get(&context, 4));
  weight.file = llvm::sys::path::filename(path).str();
  weight.length = sizeof(packed);
  std::string result = (path + ".safetensors").str();
  llvm::FileRemover remover(result);
  auto metadata = writeWeights(weight, path, result);
  ASSERT_TRUE(static_cast<bool>(metadata)) << llvm::toString(metadata.takeError());
  const llvm::json::Object &slot = *(*metadata->getArray("slots"))[0].getAsObject();
  ASSERT_EQ(slot.getInteger("bytes"), 5);
  auto file = llvm::MemoryBuffer::getFile(result);
  ASSERT_TRUE(static_cast<bool>(file));
  EXPECT_EQ((*file)->getBuffer().substr(*slot.getInteger("offset"), 5),
            llvm::StringRef("\1\2\3\4\5"));
}

/// As readers of the format demand: no byte is without a name, no name is used twice.
TEST_F(PackTest, TensorsAndWhatAlignsThemFillTheFile) {
  write(15);
  std::vector<WeightSpec> weights(3);
  for (size_t i = 0; i < weights.size(); ++i) {
    weights[i].name = "weight " + std::to_string(i);
    weights[i].type = mlir::RankedTensorType::get({5}, f32);
    weights[i].file = llvm::sys::path::filename(path).str();
    weights[i].offset = i * 5 * sizeof(float);
    weights[i].length = 5 * sizeof(float);
  }
  std::string result = (path + ".safetensors").str();
  llvm::FileRemover remover(result);
  auto metadata = writeWeights(weights, path, result);
  ASSERT_TRUE(static_cast<bool>(metadata)) << llvm::toString(metadata.takeError());
  auto file = llvm::MemoryBuffer::getFile(result);
  ASSERT_TRUE(static_cast<bool>(file));
  llvm::StringRef contents = (*file)->getBuffer();
  uint64_t headerBytes = llvm::support::endian::read64le(contents.data());
  auto header = llvm::json::parse(contents.substr(8, headerBytes));
  ASSERT_TRUE(static_cast<bool>(header)) << llvm::toString(header.takeError());
  std::map<int64_t, int64_t> ends;
  for (const auto &[name, tensor] : *header->getAsObject()) {
    const llvm::json::Array &range = *tensor.getAsObject()->getArray("data_offsets");
    ends[*range[0].getAsInteger()] = *range[1].getAsInteger();
  }
  int64_t end = 0;
  for (auto [begin, next] : ends) {
    EXPECT_EQ(begin, end);
    end = next;
  }
  EXPECT_EQ(8 + headerBytes + static_cast<uint64_t>(end), contents.size());
  EXPECT_GT(ends.size(), weights.size());
}

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

/// Every type of words, from rows and from columns: what is unpacked is what
/// was rounded, or (q - zero) * scale with the scale of its block.
TEST_F(PackTest, FloatsBecomeEveryType) {
  constexpr int64_t kN = 22, kK = 75, kWidth = 8;
  write(kN * kK);
  for (bool transposed : {false, true})
    for (WeightType type :
         {WeightType::f16, WeightType::bf16, WeightType::int8, WeightType::int4}) {
      SCOPED_TRACE(nameOf(type).str());
      PackStep step{{1, kN, kK, kWidth, GateRows::none, type},
                    {{"", 0, f32, 0, 0, 1, kN, {0, transposed ? 1 : kK, transposed ? kN : 1}}}};
      step.layout.inWords();
      Quantisation quantisation = quantisationOf(type);
      step.layout.block = isInteger(type) ? quantisation.block : 0;
      std::string words = bytesOf(step), scales;
      step.scales = isInteger(type);
      if (step.scales)
        scales = bytesOf(step);
      int64_t block = step.layout.block ? step.layout.block : kK;
      for (int64_t n = 0; n < kN; ++n)
        for (int64_t k = 0; k < kK; ++k) {
          float value = values[transposed ? k * kN + n : n * kK + k];
          double scale = 0;
          if (step.scales) {
            size_t at = ((n / kWidth) * step.layout.blocks() + k / block) * kWidth + n % kWidth;
            scale = quantisation.scale == WeightType::f32
                        ? reinterpret_cast<const float *>(scales.data())[at]
                        : fromHalf(reinterpret_cast<const uint16_t *>(scales.data())[at]);
          }
          double stored = unpacked(words, step.layout, n, k, scale);
          // Eight bits of precision survive f16, bf16 and nearly int8.
          double limit = type == WeightType::int8   ? 0.5 * scale
                         : type == WeightType::int4 ? 1.5 * std::abs(scale)
                                                    : 0;
          ASSERT_LE(std::abs(stored - value), limit + 1e-6) << "row " << n << ", column " << k;
        }
    }
}

/// Integers of the model keep their bits, wherever a byte holds several.
TEST_F(PackTest, IntegersAreOnlyMoved) {
  constexpr int64_t kN = 11, kK = 50, kWidth = 8;
  std::mt19937 random(5);
  for (int64_t bits : {8, 4, 2}) {
    int64_t rowBytes = llvm::divideCeil(kK * bits, 8);
    MatrixPart part{
        "", 3, mlir::IntegerType::get(&context, bits), 0, 0, 1, kN, {0, rowBytes * 8 / bits, 1}};
    part.bytes.resize(3 + kN * rowBytes);
    for (char &byte : part.bytes)
      byte = static_cast<char>(random());
    WeightType type = bits == 8   ? WeightType::int8
                      : bits == 4 ? WeightType::int4
                                  : WeightType::int2;
    PackStep step{{1, kN, kK, kWidth, GateRows::none, type}, {part}};
    step.layout.inWords();
    write(1);
    std::string words = bytesOf(step);
    for (int64_t n = 0; n < kN; ++n)
      for (int64_t k = 0; k < kK; ++k) {
        int byte = static_cast<unsigned char>(part.bytes[3 + n * rowBytes + k * bits / 8]);
        int expected = byte >> k * bits % 8 & ((1 << bits) - 1);
        ASSERT_EQ(unpacked(words, step.layout, n, k, 1) + defaultZero(type), expected);
      }
  }
}

TEST_F(PackTest, WeightsThatAreNotFiniteAreNotQuantised) {
  write(16);
  MatrixPart part{"", 0, f32, 0, 0, 1, 1, {0, 16, 1}};
  float nan = std::numeric_limits<float>::quiet_NaN();
  part.bytes.assign(16 * sizeof(float), 0);
  std::memcpy(part.bytes.data() + 20, &nan, sizeof(nan));
  PackStep step{{1, 1, 16, 8, GateRows::none, WeightType::int4}, {part}};
  step.layout.inWords();
  auto file = llvm::cantFail(FileSlices::open(path));
  llvm::Error error = pack(
      step, [&](llvm::StringRef) -> llvm::Expected<const FileSlices *> { return &file; },
      [](llvm::ArrayRef<char>) {});
  EXPECT_NE(llvm::toString(std::move(error)).find("not finite"), std::string::npos);
}

/// Halves round to nearest, ties to even, as APFloat does it.
TEST(QuantizeTest, HalvesAndBfloatsRoundLikeAPFloat) {
  std::mt19937 random(2);
  for (int i = 0; i < 200000; ++i) {
    auto value = llvm::bit_cast<float>(static_cast<uint32_t>(random()));
    if (i < 70000) // around the halves
      value = static_cast<float>(static_cast<double>(random()) / 4e9 * std::exp2(i % 48 - 30.0));
    auto round = [&](const llvm::fltSemantics &semantics) {
      llvm::APFloat rounded(value);
      bool losesInfo;
      rounded.convert(semantics, llvm::APFloat::rmNearestTiesToEven, &losesInfo);
      return rounded;
    };
    llvm::APFloat half = round(llvm::APFloat::IEEEhalf()), bfloat = round(llvm::APFloat::BFloat());
    if (half.isNaN()) {
      EXPECT_TRUE(std::isnan(fromHalf(toHalf(value))) && std::isnan(fromBfloat(toBfloat(value))));
      continue;
    }
    ASSERT_EQ(toHalf(value), half.bitcastToAPInt().getZExtValue()) << value;
    ASSERT_EQ(fromHalf(toHalf(value)), half.convertToFloat()) << value;
    ASSERT_EQ(toBfloat(value), bfloat.bitcastToAPInt().getZExtValue()) << value;
    ASSERT_EQ(fromBfloat(toBfloat(value)), bfloat.convertToFloat()) << value;
  }
}

/// A scale of four bits is no worse than the simple one, and zeros stay zeros.
TEST(QuantizeTest, ScalesHaveSmallErrors) {
  std::mt19937 random(4);
  std::normal_distribution<float> normal;
  auto error = [](llvm::ArrayRef<float> values, float scale) {
    double sum = 0;
    for (float value : values) {
      double difference = value - (quantise(value, scale, WeightType::int4) - 8.0) * scale;
      sum += difference * difference;
    }
    return sum;
  };
  double chosen = 0, simple = 0;
  for (int i = 0; i < 200; ++i) {
    std::vector<float> values(32);
    float largest = 0;
    for (float &value : values) {
      value = normal(random);
      largest = std::max(largest, std::abs(value));
    }
    chosen += error(values, llvm::cantFail(chooseScale(values, WeightType::int4)));
    simple += error(values, largest / 7);
  }
  EXPECT_LT(chosen, 0.8 * simple);
  std::vector<float> zeros(32, 0.0f);
  float scale = llvm::cantFail(chooseScale(zeros, WeightType::int4));
  EXPECT_EQ((quantise(0, scale, WeightType::int4) - 8) * scale, 0);
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
