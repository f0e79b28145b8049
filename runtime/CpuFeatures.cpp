#include "runtime/CpuFeatures.h"

#include <array>

#ifdef __x86_64__
#include <cpuid.h>
#endif

namespace moec::runtime {

#ifdef __x86_64__
namespace {

enum Register { A, B, C, D };

/// What the operating system must save for the registers to be usable (XCR0).
enum SavedState : uint32_t { kNone = 0, kAvx = 0x6, kAvx512 = 0xe6, kAmx = 0x60000 };

struct Feature {
  std::string_view name;
  uint32_t leaf, subleaf;
  Register reg;
  int bit;
  SavedState saved;
};

constexpr uint32_t kExtended = 0x80000001;

constexpr Feature kFeatures[] = {
    {"sse3", 1, 0, C, 0, kNone},
    {"pclmul", 1, 0, C, 1, kNone},
    {"ssse3", 1, 0, C, 9, kNone},
    {"fma", 1, 0, C, 12, kAvx},
    {"cx16", 1, 0, C, 13, kNone},
    {"sse4.1", 1, 0, C, 19, kNone},
    {"sse4.2", 1, 0, C, 20, kNone},
    {"movbe", 1, 0, C, 22, kNone},
    {"popcnt", 1, 0, C, 23, kNone},
    {"aes", 1, 0, C, 25, kNone},
    {"avx", 1, 0, C, 28, kAvx},
    {"f16c", 1, 0, C, 29, kAvx},
    {"rdrnd", 1, 0, C, 30, kNone},
    {"bmi", 7, 0, B, 3, kNone},
    {"avx2", 7, 0, B, 5, kAvx},
    {"bmi2", 7, 0, B, 8, kNone},
    {"avx512f", 7, 0, B, 16, kAvx512},
    {"avx512dq", 7, 0, B, 17, kAvx512},
    {"rdseed", 7, 0, B, 18, kNone},
    {"adx", 7, 0, B, 19, kNone},
    {"avx512ifma", 7, 0, B, 21, kAvx512},
    {"avx512cd", 7, 0, B, 28, kAvx512},
    {"sha", 7, 0, B, 29, kNone},
    {"avx512bw", 7, 0, B, 30, kAvx512},
    {"avx512vl", 7, 0, B, 31, kAvx512},
    {"avx512vbmi", 7, 0, C, 1, kAvx512},
    {"avx512vbmi2", 7, 0, C, 6, kAvx512},
    {"gfni", 7, 0, C, 8, kNone},
    {"vaes", 7, 0, C, 9, kAvx},
    {"vpclmulqdq", 7, 0, C, 10, kAvx},
    {"avx512vnni", 7, 0, C, 11, kAvx512},
    {"avx512bitalg", 7, 0, C, 12, kAvx512},
    {"avx512vpopcntdq", 7, 0, C, 14, kAvx512},
    {"avx512vp2intersect", 7, 0, D, 8, kAvx512},
    {"amx-bf16", 7, 0, D, 22, kAmx},
    {"avx512fp16", 7, 0, D, 23, kAvx512},
    {"amx-tile", 7, 0, D, 24, kAmx},
    {"amx-int8", 7, 0, D, 25, kAmx},
    {"avxvnni", 7, 1, A, 4, kAvx},
    {"avx512bf16", 7, 1, A, 5, kAvx512},
    {"avxifma", 7, 1, A, 23, kAvx},
    {"avxvnniint8", 7, 1, D, 4, kAvx},
    {"avxneconvert", 7, 1, D, 5, kAvx},
    {"avxvnniint16", 7, 1, D, 10, kAvx},
    {"sahf", kExtended, 0, C, 0, kNone},
    {"lzcnt", kExtended, 0, C, 5, kNone},
    {"sse4a", kExtended, 0, C, 6, kNone},
};

uint32_t savedState() {
  uint32_t a, b, c, d;
  constexpr uint32_t kOsXsave = 1 << 27;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & kOsXsave))
    return 0;
  __asm__("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
  return a;
}

bool has(const Feature &feature) {
  uint32_t registers[4] = {};
  return __get_cpuid_count(feature.leaf, feature.subleaf, &registers[A], &registers[B],
                           &registers[C], &registers[D]) &&
         registers[feature.reg] >> feature.bit & 1 &&
         (savedState() & feature.saved) == feature.saved;
}

const Feature *find(std::string_view name) {
  for (const Feature &feature : kFeatures)
    if (feature.name == name)
      return &feature;
  return nullptr;
}

} // namespace
#else
namespace {
struct Feature {
  std::string_view name;
};
constexpr std::array<Feature, 0> kFeatures;
const Feature *find(std::string_view) { return nullptr; }
bool has(const Feature &) { return false; }
} // namespace
#endif

std::vector<std::string_view> knownCpuFeatures() {
  std::vector<std::string_view> names;
  for (const Feature &feature : kFeatures)
    names.push_back(feature.name);
  return names;
}

Status checkCpuFeatures(const std::string &chip, const std::vector<std::string> &features) {
  for (const std::string &name : features) {
    const Feature *feature = find(name);
    if (!feature)
      return failure(MOEC_INCOMPATIBLE,
                     "compiled for %s, whose feature '%s' this runtime does not know", chip.c_str(),
                     name.c_str());
    if (!has(*feature))
      return failure(MOEC_INCOMPATIBLE, "compiled for %s, but this machine lacks '%s'",
                     chip.c_str(), name.c_str());
  }
  return {};
}

} // namespace moec::runtime
