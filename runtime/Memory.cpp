#include "runtime/Memory.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <sys/mman.h>

namespace moec::runtime {
namespace {

constexpr size_t kHugePage = 2 << 20;
constexpr size_t kAlignment = 64;

size_t roundUp(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

/// Maps whole huge pages; what is left of them after alignment is unmapped.
void *mapAligned(size_t bytes) {
  size_t reserved = bytes + kHugePage;
  void *memory =
      mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return nullptr;
  auto start = reinterpret_cast<uintptr_t>(memory);
  uintptr_t aligned = roundUp(start, kHugePage);
  if (aligned > start)
    munmap(memory, aligned - start);
  if (uintptr_t end = start + reserved; end > aligned + bytes)
    munmap(reinterpret_cast<void *>(aligned + bytes), end - aligned - bytes);
  return reinterpret_cast<void *>(aligned);
}

bool isMapped(size_t bytes) { return bytes >= kHugePage; }

class HostMemory final : public Memory {
public:
  bool isHost() const override { return true; }

  void *allocate(size_t bytes, Pages pages) override {
    if (!isMapped(bytes))
      return std::aligned_alloc(kAlignment, roundUp(bytes + 1, kAlignment));
    void *data = mapAligned(roundUp(bytes, kHugePage));
    if (data)
      madvise(data, roundUp(bytes, kHugePage),
              pages == Pages::huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    return data;
  }

  void release(void *data, size_t bytes) override {
    if (isMapped(bytes))
      munmap(data, roundUp(bytes, kHugePage));
    else
      std::free(data);
  }

  Status copy(Direction, const Copy &copy) override {
    for (int64_t run = 0; run < copy.runs; ++run)
      std::memcpy(static_cast<char *>(copy.to) + run * copy.toStride,
                  static_cast<const char *>(copy.from) + run * copy.fromStride, copy.bytes);
    return {};
  }
};

} // namespace

Memory &hostMemory() {
  static HostMemory memory;
  return memory;
}

void Buffer::release() {
  if (data_)
    memory->release(data_, size_);
  data_ = nullptr;
  size_ = 0;
}

bool Buffer::allocate(size_t bytes, Pages pages) {
  release();
  if (bytes > SIZE_MAX / 2)
    return false;
  data_ = memory->allocate(bytes, pages);
  size_ = data_ ? bytes : 0;
  return data_;
}

int64_t peakProcessMemory() {
  FILE *file = std::fopen("/proc/self/status", "re");
  if (!file)
    return 0;
  constexpr std::string_view kName = "VmHWM:";
  int64_t kilobytes = 0;
  for (char line[256]; std::fgets(line, sizeof line, file);)
    if (std::string_view(line).starts_with(kName))
      kilobytes = std::strtoll(line + kName.size(), nullptr, 10);
  std::fclose(file);
  return kilobytes * 1024;
}

} // namespace moec::runtime
