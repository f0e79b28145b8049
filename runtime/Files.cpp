#include "runtime/Files.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace moec::runtime {

InputFile::~InputFile() {
  if (file >= 0)
    close(file);
}

Status InputFile::open(const std::string &path) {
  path_ = path;
  file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status;
  if (file < 0 || fstat(file, &status))
    return systemFailure("open", path);
  if (!S_ISREG(status.st_mode))
    return failure(MOEC_IO, "cannot read '%s': not a regular file", path.c_str());
  size_ = status.st_size;
  return {};
}

Status InputFile::read(uint64_t offset, void *bytes, uint64_t count) const {
  auto *to = static_cast<char *>(bytes);
  while (count) {
    ssize_t part = pread(file, to, count, offset);
    if (part < 0 && errno == EINTR)
      continue;
    if (part < 0)
      return systemFailure("read", path_);
    if (part == 0)
      return failure(MOEC_DAMAGED, "'%s' is too short: it ends at byte %llu", path_.c_str(),
                     static_cast<unsigned long long>(offset));
    to += part, offset += part, count -= part;
  }
  return {};
}

Status readFile(const std::string &path, std::string &bytes) {
  InputFile file;
  if (Status error = file.open(path))
    return error;
  bytes.resize(file.size());
  return file.read(0, bytes.data(), bytes.size());
}

OutputFile::~OutputFile() {
  if (file)
    std::fclose(file);
  if (!temporary.empty())
    unlink(temporary.c_str());
}

Status OutputFile::open(const std::string &name) {
  path = name;
  // Renaming would replace a device, and fail late for a folder.
  struct stat status;
  if (stat(name.c_str(), &status) == 0 && !S_ISREG(status.st_mode))
    return failure(MOEC_IO, "cannot write '%s': it exists and is not a regular file", name.c_str());
  std::string hidden = name + "." + std::to_string(getpid()) + ".tmp";
  int descriptor = ::open(hidden.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor < 0)
    return systemFailure("create", path);
  temporary = std::move(hidden);
  file = fdopen(descriptor, "w");
  return {};
}

Status OutputFile::close() {
  errno = 0;
  bool failed = std::fflush(file) || std::ferror(file);
  int reason = errno;
  failed |= std::fclose(file) != 0;
  file = nullptr;
  if (reason)
    errno = reason;
  return failed ? systemFailure("write", path) : Status();
}

Status OutputFile::commit() {
  if (file)
    if (Status error = close())
      return error;
  if (std::rename(temporary.c_str(), path.c_str()))
    return systemFailure("write", path);
  temporary.clear();
  return {};
}

} // namespace moec::runtime
