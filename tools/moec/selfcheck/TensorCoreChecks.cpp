//===- TensorCoreChecks.cpp - sums of mma.sync and wgmma -------------------===//
//
// PTX does not promise that they do not depend on where they are computed; see
// PlacesCheck.h.
//
//===----------------------------------------------------------------------===//
#include "tools/moec/selfcheck/CheckedGpu.h"
#include "tools/moec/selfcheck/CudaKernels.h"
#include "tools/moec/selfcheck/PlacesCheck.h"

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
  compared = check.compared();
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
