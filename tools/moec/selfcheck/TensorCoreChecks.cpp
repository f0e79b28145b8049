//===- TensorCoreChecks.cpp - sums of mma.sync and wgmma -------------------===//
//
// PTX does not promise that they do not depend on where they are computed; see
// PlacesCheck.h.
//
//===----------------------------------------------------------------------===//
#include "tools/moec/selfcheck/CheckedGpu.h"
#include "tools/moec/selfcheck/CudaKernels.h"
#include "tools/moec/selfcheck/PlacesCheck.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace moec::tools {
namespace {

using runtime::Buffer;
using runtime::cuda::Function;
using runtime::cuda::LoadedModule;

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

/// The kernel and its operands on the GPU.
class Mma {
public:
  explicit Mma(CheckedGpu &gpu) : gpu(gpu) {}

  Status prepare(const LoadedModule &module, const Format &format) {
    if (Status error = module.find((std::string("mma_") + format.name).c_str(), 0, kernel))
      return error;
    for (auto [buffer, bytes] : {std::pair(&a, 512), {&b, 256}, {&c, 512}, {&d, 512}})
      if (Status error = gpu.allocate(*buffer, bytes))
        return error;
    return {};
  }

  Status multiply(const Tile &tile, Rows<float> &result) {
    for (Status error :
         {gpu.upload(a, tile.a.data.data(), a.size()), gpu.upload(b, tile.b.data.data(), b.size()),
          gpu.upload(c, tile.c.data.data(), c.size()),
          gpu.launch(kernel, 1, 32, 1, {word(a), word(b), word(c), word(d)}),
          gpu.download(result.data.data(), d, d.size())})
      if (error)
        return error;
    return {};
  }

private:
  CheckedGpu &gpu;
  Function kernel = nullptr;
  Buffer a, b, c, d;
};

Status tryMma(CheckedGpu &gpu, const LoadedModule &module, const Format &format,
              int64_t &compared) {
  Mma mma(gpu);
  if (Status error = mma.prepare(module, format))
    return error;
  PlacesCheck check(
      format, [&](const Tile &tile, Rows<float> &d) { return mma.multiply(tile, d); },
      /*hasC=*/true);
  for (int round = 0; round < 32; ++round) {
    if (Status error = check.begin(kMmaRows, kMmaColumns, kMmaDepth))
      return error;
    for (int again = 0; again < 16; ++again)
      if (Status error = check.repeat(kMmaColumns, again % 2))
        return error;
  }
  compared = check.compared();
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

/// The kernels and their operands on the GPU.
class Wgmma {
public:
  explicit Wgmma(CheckedGpu &gpu) : gpu(gpu), module(gpu.gpu) {}

  Status prepare(const Format &format, Source source) {
    if (Status error = gpu.load(wgmmaPtx(format.name, source), module))
      return error;
    for (int columns = 8; columns <= kMostColumns; columns += 8)
      if (Status error =
              module.find(("wgmma_" + std::to_string(columns)).c_str(), 0, kernels[columns / 8]))
        return error;
    for (auto [buffer, bytes] : {std::pair(&image, wgmmaImageBytes(kMostColumns)),
                                 {&d, kWgmmaRows * kMostColumns * int(sizeof(float))}})
      if (Status error = gpu.allocate(*buffer, bytes))
        return error;
    return {};
  }

  Status multiply(const Tile &tile, Rows<float> &result) {
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
  }

private:
  CheckedGpu &gpu;
  LoadedModule module;
  Function kernels[kMostColumns / 8 + 1] = {};
  Buffer image, d;
};

Status tryWgmma(CheckedGpu &gpu, const Format &format, Source source, int64_t &compared) {
  Wgmma wgmma(gpu);
  if (Status error = wgmma.prepare(format, source))
    return error;
  PlacesCheck check(
      format, [&](const Tile &tile, Rows<float> &d) { return wgmma.multiply(tile, d); },
      /*hasC=*/false);
  for (int round = 0; round < (gpu.isVirtual() ? 1 : 8); ++round) {
    if (Status error = check.begin(kWgmmaRows, kMostColumns, kWgmmaDepth))
      return error;
    for (int columns = 8; columns <= kMostColumns; columns += 8)
      for (bool withPoison : {false, true})
        if (Status error = check.repeat(columns, withPoison))
          return error;
  }
  compared = check.compared();
  return {};
}

//===--- mma.sync and wgmma ------------------------------------------------===//

/// 16 rows of a tile by mma.sync, 16 columns of k after the other.
Status multiplyRows(Mma &mma, const Tile &tile, int firstRow, Rows<float> &sums) {
  for (int k = 0; k < kWgmmaDepth; k += kMmaDepth) {
    Tile part(kMmaRows, kMmaColumns, kMmaDepth);
    part.c = sums;
    for (int row = 0; row < kMmaRows; ++row)
      std::copy_n(tile.a[firstRow + row] + k, kMmaDepth, part.a[row]);
    for (int column = 0; column < kMmaColumns; ++column)
      std::copy_n(tile.b[column] + k, kMmaDepth, part.b[column]);
    if (Status error = mma.multiply(part, sums))
      return error;
  }
  return {};
}

/// Kernels for few tokens use mma.sync where those for many use wgmma.
Status tryBoth(CheckedGpu &gpu, const LoadedModule &module, const Format &format,
               int64_t &compared) {
  Mma mma(gpu);
  Wgmma wgmma(gpu);
  if (Status error = mma.prepare(module, format))
    return error;
  if (Status error = wgmma.prepare(format, Source::sharedMemory))
    return error;
  std::mt19937 random(1);
  for (int round = 0; round < 32; ++round) {
    Tile tile(kWgmmaRows, kMmaColumns, kWgmmaDepth);
    for (auto *operand : {&tile.a, &tile.b})
      for (uint16_t &bits : operand->data)
        bits = format.draw(random);
    Rows<float> expected(kWgmmaRows, kMmaColumns);
    if (Status error = wgmma.multiply(tile, expected))
      return error;
    for (int first = 0; first < kWgmmaRows; first += kMmaRows) {
      Rows<float> sums(kMmaRows, kMmaColumns);
      if (Status error = multiplyRows(mma, tile, first, sums))
        return error;
      for (int row = 0; row < kMmaRows; ++row)
        for (int column = 0; column < kMmaColumns; ++column, ++compared)
          if (std::bit_cast<uint32_t>(sums[row][column]) !=
              std::bit_cast<uint32_t>(expected[first + row][column]))
            return runtime::failure(
                MOEC_EXECUTION_FAILED, "row %d, column %d is %a by mma.sync, but %a by wgmma",
                first + row, column, sums[row][column], expected[first + row][column]);
    }
  }
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
  for (const Format &format : {kBf16, kF16}) {
    int64_t compared = 0;
    Status error = tryBoth(gpu, general, format, compared);
    report(gpu, findings, std::string("mma.sync and wgmma ") + format.name, error, compared,
           "they sum alike, 16 columns after the other");
  }
}

} // namespace moec::tools
