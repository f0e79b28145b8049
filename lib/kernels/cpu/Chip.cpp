#include "lib/kernels/cpu/Chip.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/Triple.h"
#include "llvm/TargetParser/X86TargetParser.h"

using namespace llvm;

namespace moec {
namespace {

/// What LLVM or our kernels put into code where a chip has it.
constexpr StringLiteral kUsed[] = {"sse3",         "ssse3",
                                   "sse4.1",       "sse4.2",
                                   "popcnt",       "avx",
                                   "avx2",         "fma",
                                   "f16c",         "bmi",
                                   "bmi2",         "lzcnt",
                                   "movbe",        "avx512f",
                                   "avx512bw",     "avx512dq",
                                   "avx512vl",     "avx512cd",
                                   "avx512vbmi",   "avx512vbmi2",
                                   "avx512bitalg", "avx512vpopcntdq",
                                   "avx512ifma",   "avx512vnni",
                                   "avx512bf16",   "avx512fp16",
                                   "avxvnni",      "gfni"};

/// Whether this machine's features are the chip's: a processor's name says too
/// much where a hypervisor hides some of them.
bool isNative(StringRef name) { return name == "native"; }

std::optional<StringMap<bool>> featuresOf(StringRef name) {
  if (isNative(name)) {
    // Under a hypervisor, each of the processor's answers costs microseconds.
    static const StringMap<bool> features = sys::getHostCPUFeatures();
    return features;
  }
  if (X86::parseArchX86(name, /*Only64Bit=*/true) == X86::CK_None)
    return std::nullopt;
  SmallVector<StringRef> list;
  X86::getFeaturesForCPU(name, list);
  StringMap<bool> features;
  // LLVM leaves out what the others imply.
  for (StringRef feature : list) {
    features[feature] = true;
    X86::updateImpliedFeatures(feature, /*Enabled=*/true, features);
  }
  return features;
}

void describeX86(Chip &chip, const StringMap<bool> &features) {
  auto has = [&](StringRef feature) { return features.lookup(feature); };
  for (StringRef feature : kUsed)
    if (has(feature))
      chip.required.push_back(feature.str());
  bool avx512 = has("avx512f") && has("avx512bw") && has("avx512dq") && has("avx512vl");
  chip.vectorBits = avx512 ? 512 : has("avx2") ? 256 : 128;
  chip.vectorRegisters = avx512 ? 32 : 16;
  chip.fma = has("fma");
  chip.f16c = has("f16c");
  chip.avx512vnni = avx512 && has("avx512vnni");
  chip.avx512bf16 = avx512 && has("avx512bf16");
}

} // namespace

std::optional<Chip> parseChip(StringRef name) {
  Triple triple(sys::getDefaultTargetTriple());
  if (!triple.isX86() && !isNative(name))
    return std::nullopt;
  std::optional<StringMap<bool>> features = featuresOf(name);
  if (!features)
    return std::nullopt;
  Chip chip;
  chip.triple = triple.str();
  chip.cpu = isNative(name) ? sys::getHostCPUName().str() : name.str();
  chip.name = chip.cpu;
  if (isNative(name)) {
    SmallVector<std::string> list;
    for (const auto &[feature, enabled] : *features)
      list.push_back((enabled ? "+" : "-") + feature.str());
    llvm::sort(list);
    chip.features = join(list, ",");
  }
  if (triple.isX86()) {
    describeX86(chip, *features);
  } else {
    chip.vectorRegisters = 32;
    chip.fma = true;
  }
  return chip;
}

Chip anyChip() {
  Triple triple(sys::getDefaultTargetTriple());
  Chip chip;
  chip.triple = triple.str();
  chip.name = chip.cpu = triple.isX86() ? "x86-64" : "generic";
  return chip;
}

} // namespace moec
