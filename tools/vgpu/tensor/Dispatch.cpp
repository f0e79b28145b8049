#include "tensor/Arithmetic.h"

namespace vgpu::tensor {

namespace baseline {
extern const Arithmetic kArithmetic;
}
#ifdef VGPU_HAS_X86_64_V3
namespace x86_64_v3 {
extern const Arithmetic kArithmetic;
}
namespace x86_64_v4 {
extern const Arithmetic kArithmetic;
}
#endif

const Arithmetic *const *everyArithmetic(int &count) {
  static const Arithmetic *known[3];
  static const int found = [] {
    int found = 0;
    known[found++] = &baseline::kArithmetic;
#ifdef VGPU_HAS_X86_64_V3
    if (__builtin_cpu_supports("x86-64-v3"))
      known[found++] = &x86_64_v3::kArithmetic;
    if (__builtin_cpu_supports("x86-64-v4"))
      known[found++] = &x86_64_v4::kArithmetic;
#endif
    return found;
  }();
  count = found;
  return known;
}

const Arithmetic &arithmetic() {
  static const Arithmetic *best = [] {
    int count;
    const Arithmetic *const *every = everyArithmetic(count);
    return every[count - 1];
  }();
  return *best;
}

} // namespace vgpu::tensor
