#include "exec/Console.h"

#include <cstdio>

namespace vgpu {

void Console::flush() {
  std::lock_guard lock(mutex);
  if (pending.empty())
    return;
  std::fwrite(pending.data(), 1, pending.size(), stdout);
  std::fflush(stdout);
  pending.clear();
}

} // namespace vgpu
