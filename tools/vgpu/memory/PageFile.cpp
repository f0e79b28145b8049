#include "memory/PageFile.h"

#include <fcntl.h>
#include <new>
#include <string_view>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace vgpu {
namespace {

/// Its size never changes, so that nobody is killed by an access behind its end.
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW;

void mapAt(uint64_t address, uint64_t bytes, int flags, int file, uint64_t offset) {
  void *mapped = mmap(reinterpret_cast<void *>(address), bytes, PROT_READ | PROT_WRITE,
                      flags | MAP_FIXED | MAP_NORESERVE, file, static_cast<off_t>(offset));
  if (mapped == MAP_FAILED)
    throw std::bad_alloc();
  madvise(mapped, bytes, MADV_DONTDUMP);
}

} // namespace

PageFile::PageFile(const std::string &name, uint64_t bytes)
    : file(memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING)), size(bytes) {
  if (file < 0)
    throw std::bad_alloc();
  if (ftruncate(file, static_cast<off_t>(bytes)) || fcntl(file, F_ADD_SEALS, kSeals)) {
    close(file);
    throw std::bad_alloc();
  }
}

std::shared_ptr<const PageFile> PageFile::adopt(int descriptor) {
  struct stat status;
  int seals = fcntl(descriptor, F_GET_SEALS);
  if (seals < 0 || (seals & kSeals) != kSeals || fstat(descriptor, &status)) {
    close(descriptor);
    return nullptr;
  }
  auto size = static_cast<uint64_t>(status.st_size);
  return std::shared_ptr<const PageFile>(new PageFile(descriptor, size));
}

PageFile::~PageFile() { close(file); }

std::string PageFile::name() const {
  char text[256];
  std::string link = "/proc/self/fd/" + std::to_string(file);
  ssize_t length = readlink(link.c_str(), text, sizeof text);
  constexpr std::string_view kPrefix = "/memfd:", kSuffix = " (deleted)";
  std::string_view path(text, length > 0 ? static_cast<size_t>(length) : 0);
  if (!path.starts_with(kPrefix) || !path.ends_with(kSuffix))
    return "";
  path.remove_prefix(kPrefix.size());
  path.remove_suffix(kSuffix.size());
  return std::string(path);
}

uint64_t PageFile::number() const {
  struct stat status;
  return fstat(file, &status) ? 0 : static_cast<uint64_t>(status.st_ino);
}

void PageFile::map(uint64_t address, uint64_t bytes, uint64_t offset) const {
  mapAt(address, bytes, MAP_SHARED, file, offset);
}

void PageFile::mapPrivately(uint64_t address, uint64_t bytes, uint64_t offset) const {
  mapAt(address, bytes, MAP_PRIVATE, file, offset);
}

void PageFile::write(const void *from, uint64_t bytes, uint64_t offset) const {
  const auto *next = static_cast<const char *>(from);
  while (bytes) {
    ssize_t written = pwrite(file, next, bytes, static_cast<off_t>(offset));
    if (written <= 0)
      throw std::bad_alloc();
    auto done = static_cast<uint64_t>(written);
    next += done, offset += done, bytes -= done;
  }
}

void PageFile::clear(uint64_t offset, uint64_t bytes) const {
  fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
            static_cast<off_t>(bytes));
}

} // namespace vgpu
