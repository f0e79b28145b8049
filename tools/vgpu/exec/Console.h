#pragma once
#include <mutex>
#include <string>

namespace vgpu {

/// What kernels print: kept until the host synchronises, as the driver does.
class Console {
public:
  void print(const std::string &text) {
    std::lock_guard lock(mutex);
    pending += text;
  }
  void flush();

private:
  std::mutex mutex;
  std::string pending;
};

} // namespace vgpu
