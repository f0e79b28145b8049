#include "exec/Selectors.h"

namespace vgpu {

namespace baseline {
const SelectorTable &selectors();
}
#ifdef VGPU_HAS_X86_64_V3
namespace x86_64_v3 {
const SelectorTable &selectors();
}
#endif

const SelectorTable &selectors() {
#ifdef VGPU_HAS_X86_64_V3
  if (__builtin_cpu_supports("x86-64-v3"))
    return x86_64_v3::selectors();
#endif
  return baseline::selectors();
}

} // namespace vgpu
