//===- TensorCoreChecks.cpp - does a sum depend on where it is computed ----===//
//
// Kernels give a token the same bits in any batch because an element of a tile's
// product depends on its row and its column alone: not on where in the tile they
// are, on how many columns there are, or on what the others hold. PTX does not
// promise it. So tiles are multiplied again with their rows and columns elsewhere
// and with others that are not even numbers.
//
//===----------------------------------------------------------------------===//
#include "tools/moec/selfcheck/CheckedGpu.h"
#include "tools/moec/selfcheck/CudaKernels.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <random>

namespace moec::tools {
namespace {

using runtime::Buffer;
using runtime::cuda::Function;
using runtime::cuda::LoadedModule;

/// A type of 16 bits.
struct Format {
  const char *name;
  int mantissaBits, bias;

  /// Magnitudes of a wide range, so that sums round often.
  uint16_t draw(std::mt19937 &random) const {
    uint32_t exponent = bias - 6 + random() % 13;
    uint32_t mantissa = random() & ((1u << mantissaBits) - 1);
    return static_cast<uint16_t>((random() & 1) << 15 | exponent << mantissaBits | mantissa);
  }
  /// The largest number, an infinity or a NaN.
  uint16_t drawPoison(std::mt19937 &random) const {
    uint32_t infinity = (2 * bias + 1) << mantissaBits;
    return static_cast<uint16_t>((random() & 1) << 15 | (infinity - 1 + random() % 3));
  }
  double value(uint16_t bits) const {
    int exponent = (bits & 0x7fff) >> mantissaBits;
    int mantissa = (bits & ((1 << mantissaBits) - 1)) | 1 << mantissaBits;
    double magnitude = std::ldexp(mantissa, exponent - bias - mantissaBits);
    return bits & 0x8000 ? -magnitude : magnitude;
  }
};
constexpr Format kBf16{"bf16", 7, 127}, kF16{"f16", 10, 15};

/// Rows of equal length, which lie together.
template <class T> struct Rows {
  Rows(int count, int length) : length(length), data(size_t(count) * length) {}
  T *operator[](int row) { return &data[size_t(row) * length]; }
  const T *operator[](int row) const { return &data[size_t(row) * length]; }

  int length;
  std::vector<T> data;
};

/// d[i][j] = sum over k of a[i][k] b[j][k], + c[i][j] where there is c.
struct Tile {
  Tile(int rows, int columns, int depth)
      : rows(rows), columns(columns), a(rows, depth), b(columns, depth), c(rows, columns) {}
  int rows, columns;
  Rows<uint16_t> a, b;
  Rows<float> c;
};

/// Multiplies a tile on the GPU, in one way.
using Multiply = std::function<Status(const Tile &tile, Rows<float> &d)>;

/// Which row and column of a reference each one of a tile is; -1: poison.
struct Places {
  std::vector<int> rows, columns;
};

/// `count` of `all`, from `start` on with a stride that has no divisor in common
/// with them; with poison, a quarter of them stays.
std::vector<int> drawPlaces(std::mt19937 &random, int count, int all, bool withPoison) {
  int start = static_cast<int>(random() % all), stride = static_cast<int>(random() % all) | 1;
  std::vector<int> places(count);
  for (int i = 0; i < count; ++i)
    places[i] = withPoison && random() % 4 ? -1 : (start + i * stride) % all;
  return places;
}

class PlacesCheck {
public:
  PlacesCheck(const Format &format, const Multiply &multiply, bool hasC)
      : format(format), multiply(multiply), hasC(hasC) {}

  /// A random tile, and its product, which must be near the exact one.
  Status begin(int rows, int columns, int depth) {
    reference = std::make_unique<Tile>(rows, columns, depth);
    for (auto *operand : {&reference->a, &reference->b})
      for (uint16_t &bits : operand->data)
        bits = format.draw(random);
    std::normal_distribution<float> normal(0, 16);
    for (float &value : reference->c.data)
      value = hasC ? normal(random) : 0;
    product = std::make_unique<Rows<float>>(rows, columns);
    if (Status error = multiply(*reference, *product))
      return error;
    return compareWithExact();
  }

  /// The same products elsewhere, in a tile of `columns` columns.
  Status repeat(int columns, bool withPoison) {
    Places places{drawPlaces(random, reference->rows, reference->rows, withPoison),
                  drawPlaces(random, columns, reference->columns, withPoison)};
    Tile tile(reference->rows, columns, reference->a.length);
    fill(places.rows, reference->a, tile.a);
    fill(places.columns, reference->b, tile.b);
    for (int i = 0; i < tile.rows; ++i)
      for (int j = 0; j < columns; ++j)
        if (places.rows[i] >= 0 && places.columns[j] >= 0)
          tile.c[i][j] = reference->c[places.rows[i]][places.columns[j]];
    Rows<float> d(tile.rows, columns);
    if (Status error = multiply(tile, d))
      return error;
    return compare(places, d);
  }

  /// How many elements were compared.
  int64_t compared = 0;

private:
  void fill(const std::vector<int> &places, const Rows<uint16_t> &from, Rows<uint16_t> &to) {
    for (size_t i = 0; i < places.size(); ++i)
      for (int k = 0; k < to.length; ++k)
        to[i][k] = places[i] < 0 ? format.drawPoison(random) : from[places[i]][k];
  }

  /// Hardware may sum with less than f32's precision, but not with much less.
  Status compareWithExact() const {
    const Tile &tile = *reference;
    constexpr double kTolerance = 1e-4;
    for (int i = 0; i < tile.rows; ++i)
      for (int j = 0; j < tile.columns; ++j) {
        double sum = tile.c[i][j], magnitude = std::abs(sum);
        for (int k = 0; k < tile.a.length; ++k) {
          double term = format.value(tile.a[i][k]) * format.value(tile.b[j][k]);
          sum += term, magnitude += std::abs(term);
        }
        if (!(std::abs((*product)[i][j] - sum) <= kTolerance * magnitude))
          return failure(MOEC_EXECUTION_FAILED, "row %d, column %d of %d is %g, but %g is right", i,
                         j, tile.columns, (*product)[i][j], sum);
      }
    return {};
  }

  Status compare(const Places &places, const Rows<float> &d) {
    for (size_t i = 0; i < places.rows.size(); ++i)
      for (size_t j = 0; j < places.columns.size(); ++j) {
        int row = places.rows[i], column = places.columns[j];
        if (row < 0 || column < 0)
          continue;
        float here = d[i][j], there = (*product)[row][column];
        if (std::bit_cast<uint32_t>(here) != std::bit_cast<uint32_t>(there))
          return failure(MOEC_EXECUTION_FAILED,
                         "%a at row %zu, column %zu of %zu, but %a at row %d, column %d of %d",
                         here, i, j, places.columns.size(), there, row, column, reference->columns);
        ++compared;
      }
    return {};
  }

  const Format &format;
  const Multiply &multiply;
  bool hasC;
  std::mt19937 random{1};
  std::unique_ptr<Tile> reference;
  std::unique_ptr<Rows<float>> product;
};

void report(CheckedGpu &gpu, Report &report, const std::string &name, const Status &error,
            int64_t compared, const char *holds) {
  if (error)
    return report.fail(name, error);
  gpu.addProof(report, {name,
                        Verdict::pass,
                        std::string(holds) + ", in " + std::to_string(compared) + " elements",
                        {{"compared", static_cast<double>(compared)}}});
}

//===--- mma.sync ----------------------------------------------------------===//

constexpr int kMmaRows = 16, kMmaColumns = 8, kMmaDepth = 16;

Status tryMma(CheckedGpu &gpu, const LoadedModule &module, const Format &format,
              int64_t &compared) {
  Function kernel = nullptr;
  if (Status error = module.find((std::string("mma_") + format.name).c_str(), 0, kernel))
    return error;
  Buffer a, b, c, d;
  for (auto [buffer, bytes] : {std::pair(&a, 512), {&b, 256}, {&c, 512}, {&d, 512}})
    if (Status error = gpu.allocate(*buffer, bytes))
      return error;
  Multiply multiply = [&](const Tile &tile, Rows<float> &result) -> Status {
    for (Status error :
         {gpu.upload(a, tile.a.data.data(), a.size()), gpu.upload(b, tile.b.data.data(), b.size()),
          gpu.upload(c, tile.c.data.data(), c.size()),
          gpu.launch(kernel, 1, 32, 1, {word(a), word(b), word(c), word(d)}),
          gpu.download(result.data.data(), d, d.size())})
      if (error)
        return error;
    return {};
  };
  PlacesCheck check(format, multiply, /*hasC=*/true);
  for (int round = 0; round < 32; ++round) {
    if (Status error = check.begin(kMmaRows, kMmaColumns, kMmaDepth))
      return error;
    for (int again = 0; again < 16; ++again)
      if (Status error = check.repeat(kMmaColumns, again % 2))
        return error;
  }
  compared = check.compared;
  return {};
}

//===--- wgmma -------------------------------------------------------------===//

/// Places rows as the kernel's descriptors say; see wgmmaPtx.
void placeRows(const Rows<uint16_t> &rows, int count, char *image) {
  for (int row = 0; row < count; ++row)
    for (int k = 0; k < kWgmmaDepth; k += 8)
      std::memcpy(image + size_t(k / 8 * count + row) * 16, rows[row] + k, 16);
}

constexpr int kMostColumns = 256;

Status tryWgmma(CheckedGpu &gpu, const Format &format, Source source, int64_t &compared) {
  LoadedModule module(gpu.gpu);
  if (Status error = gpu.load(wgmmaPtx(format.name, source), module))
    return error;
  Function kernels[kMostColumns / 8 + 1] = {};
  for (int columns = 8; columns <= kMostColumns; columns += 8)
    if (Status error =
            module.find(("wgmma_" + std::to_string(columns)).c_str(), 0, kernels[columns / 8]))
      return error;
  Buffer image, d;
  for (auto [buffer, bytes] : {std::pair(&image, wgmmaImageBytes(kMostColumns)),
                               {&d, kWgmmaRows * kMostColumns * int(sizeof(float))}})
    if (Status error = gpu.allocate(*buffer, bytes))
      return error;
  Multiply multiply = [&](const Tile &tile, Rows<float> &result) -> Status {
    std::vector<char> bytes(wgmmaImageBytes(tile.columns));
    placeRows(tile.a, kWgmmaRows, bytes.data());
    placeRows(tile.b, tile.columns, bytes.data() + wgmmaImageBytes(0));
    for (Status error : {gpu.upload(image, bytes.data(), bytes.size()),
                         gpu.launch(kernels[tile.columns / 8], 1, 128, 1, {word(image), word(d)},
                                    static_cast<unsigned>(bytes.size())),
                         gpu.download(result.data.data(), d, result.data.size() * sizeof(float))})
      if (error)
        return error;
    return {};
  };
  PlacesCheck check(format, multiply, /*hasC=*/false);
  for (int round = 0; round < (gpu.isVirtual() ? 1 : 8); ++round) {
    if (Status error = check.begin(kWgmmaRows, kMostColumns, kWgmmaDepth))
      return error;
    for (int columns = 8; columns <= kMostColumns; columns += 8)
      for (bool withPoison : {false, true})
        if (Status error = check.repeat(columns, withPoison))
          return error;
  }
  compared = check.compared;
  return {};
}

} // namespace

void checkTensorCores(CheckedGpu &gpu, const LoadedModule &general, Report &findings) {
  for (const Format &format : {kBf16, kF16}) {
    int64_t compared = 0;
    Status error = tryMma(gpu, general, format, compared);
    report(gpu, findings, std::string("mma.sync ") + format.name, error, compared,
           "m16n8k16 sums alike in every row and column, whatever is in the others");
  }
  constexpr int kHopper = 90;
  if (gpu.gpu.capability != kHopper)
    return;
  for (const Format &format : {kBf16, kF16})
    for (Source source : {Source::sharedMemory, Source::registers}) {
      int64_t compared = 0;
      Status error = tryWgmma(gpu, format, source, compared);
      const char *where = source == Source::registers ? " from registers" : "";
      report(gpu, findings, std::string("wgmma ") + format.name + where, error, compared,
             "m64nNk16 sums alike for N = 8, 16, ... 256, in every row and column");
    }
}

} // namespace moec::tools
