#pragma once
// Pages of memory in a file without a name: processes hand it on by its descriptor, and
// show it at addresses of their own.

#include <cstdint>
#include <memory>
#include <string>

namespace vgpu {

class PageFile {
public:
  static constexpr uint64_t kPage = 4096;

  /// Pages of zeros, which take room when they are written. Throws std::bad_alloc.
  PageFile(const std::string &name, uint64_t bytes);
  /// Takes a descriptor over, of a file that another process may have made. Null if it
  /// is none of a file of pages.
  static std::shared_ptr<const PageFile> adopt(int descriptor);
  ~PageFile();
  PageFile(const PageFile &) = delete;

  int descriptor() const { return file; }
  uint64_t bytes() const { return size; }
  /// The name that its maker gave it.
  std::string name() const;
  /// Tells it from all other files while it exists.
  uint64_t number() const;

  /// Shows pages from `offset` on at the address, in place of what was there.
  void map(uint64_t address, uint64_t bytes, uint64_t offset) const;
  /// Likewise, but what is written there is seen nowhere else.
  void mapPrivately(uint64_t address, uint64_t bytes, uint64_t offset) const;
  void write(const void *from, uint64_t bytes, uint64_t offset) const;
  /// Whole pages become zeros that take no room.
  void clear(uint64_t offset, uint64_t bytes) const;

private:
  PageFile(int file, uint64_t size) : file(file), size(size) {}

  int file;
  uint64_t size;
};

} // namespace vgpu
