//===- Memory.h - large pieces of a device's memory ------------------------===//
#pragma once

#include "runtime/Status.h"

#include <cstddef>
#include <cstdint>
#include <utility>

namespace moec::runtime {

/// Equal runs of bytes, each a stride behind the one before.
struct Copy {
  void *to;
  const void *from;
  int64_t bytes;
  int64_t runs = 1, toStride = 0, fromStride = 0;
};

/// Where a device's kernels have their data.
class Memory {
public:
  enum class Pages {
    normal, /// take memory where it is touched
    huge    /// fewer, larger pages
  };
  enum class Direction { upload, download, inside };

  virtual ~Memory() = default;
  /// Whether it is the host's, so that nothing needs to be copied for it.
  virtual bool isHost() const = 0;
  /// Bytes that are free, as far as somebody knows.
  virtual int64_t available() const { return INT64_MAX; }
  /// At least `bytes` bytes of undefined contents, aligned to 64; null when
  /// there are none.
  virtual void *allocate(size_t bytes, Pages pages) = 0;
  virtual void release(void *data, size_t bytes) = 0;
  /// Ordered with kernels; a download is complete on return.
  virtual Status copy(Direction direction, const Copy &copy) = 0;
};

/// From 2 MB on its pieces have pages of their own, aligned to 2 MB.
Memory &hostMemory();

/// Bytes of some memory.
class Buffer {
public:
  using Pages = Memory::Pages;

  Buffer() : Buffer(hostMemory()) {}
  explicit Buffer(Memory &memory) : memory(&memory) {}
  Buffer(Buffer &&other) noexcept : memory(other.memory) { swap(other); }
  Buffer &operator=(Buffer &&other) noexcept {
    swap(other);
    return *this;
  }
  ~Buffer() { release(); }

  /// Replaces the memory; false when there is none (the buffer is then empty).
  bool allocate(size_t bytes, Pages pages = Pages::normal);
  /// Keeps what there is if it is enough.
  bool reserve(size_t bytes, Pages pages = Pages::normal) {
    return (data_ && bytes <= size_) || allocate(bytes, pages);
  }
  void release();
  void *data() const { return data_; }
  size_t size() const { return size_; }

private:
  void swap(Buffer &other) noexcept {
    std::swap(memory, other.memory);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  Memory *memory;
  void *data_ = nullptr;
  size_t size_ = 0;
};

/// The most this process ever had in memory, in bytes (VmHWM).
int64_t peakProcessMemory();

} // namespace moec::runtime
