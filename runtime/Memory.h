//===- Memory.h - large pieces of host memory ------------------------------===//
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace moec::runtime {

/// Bytes of host memory, aligned to 64; from 2 MB on their own pages, aligned
/// to 2 MB. Contents start undefined.
class Buffer {
public:
  enum class Pages {
    normal, /// take memory where it is touched
    huge    /// fewer, larger pages
  };

  Buffer() = default;
  Buffer(Buffer &&other) noexcept { swap(other); }
  Buffer &operator=(Buffer &&other) noexcept {
    swap(other);
    return *this;
  }
  ~Buffer();

  /// Replaces the memory; false when there is none (the buffer is then empty).
  bool allocate(size_t bytes, Pages pages = Pages::normal);
  void release();
  void *data() const { return data_; }
  size_t size() const { return size_; }

private:
  void swap(Buffer &other) {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  void *data_ = nullptr;
  size_t size_ = 0;
};

/// The most this process ever had in memory, in bytes (VmHWM).
int64_t peakProcessMemory();

} // namespace moec::runtime
