#include "lib/kernels/cuda/CudaChip.h"

using namespace llvm;

namespace moec {

std::optional<CudaChip> parseCudaChip(StringRef name) {
  if (name == "sm_80" || name == "native")
    return CudaChip{"sm_80", "+ptx70"};
  if (name == "sm_90a")
    return CudaChip{"sm_90a", "+ptx80"};
  return std::nullopt;
}

SmallVector<CudaChip> chipsOfArtifact(const CudaChip &chip) {
  SmallVector<CudaChip> chips{chip};
  if (chip.name != "sm_80")
    chips.push_back(*parseCudaChip("sm_80"));
  return chips;
}

} // namespace moec
