#include "runtime/Artifact.h"

#include "runtime/Files.h"
#include "runtime/Sha256.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

namespace moec::runtime {
namespace {

constexpr size_t kDigestEnd = offsetof(moec_artifact_header, length);

Sha256::Digest digestOf(const void *file, size_t length) {
  return sha256(static_cast<const char *>(file) + kDigestEnd, length - kDigestEnd);
}

/// What can be said of a file from its header, before its digest is known.
Status checkHeader(const moec_artifact_header &header, const InputFile &file) {
  const char *path = file.path().c_str();
  if (std::memcmp(header.magic, MOEC_ARTIFACT_MAGIC, sizeof header.magic) != 0)
    return failure(MOEC_DAMAGED, "'%s' is not a moec artifact", path);
  if (header.length > file.size())
    return failure(MOEC_DAMAGED, "'%s' is cut short: it has %llu of %llu bytes", path,
                   static_cast<unsigned long long>(file.size()),
                   static_cast<unsigned long long>(header.length));
  if (header.length < file.size())
    return failure(MOEC_DAMAGED, "'%s' is damaged: it has %llu bytes instead of %llu", path,
                   static_cast<unsigned long long>(file.size()),
                   static_cast<unsigned long long>(header.length));
  return {};
}

bool inFile(const moec_artifact_header &header) {
  return header.header_bytes == sizeof header &&
         std::all_of(header.parts, header.parts + MOEC_PART_COUNT, [&](auto &part) {
           return part.offset <= header.length && part.length <= header.length - part.offset;
         });
}

} // namespace

Status Artifact::read(const std::string &path) {
  InputFile file;
  if (Status error = file.open(path))
    return error;
  moec_artifact_header start;
  if (file.size() < sizeof start)
    return failure(MOEC_DAMAGED, "'%s' is not a moec artifact: it has only %llu bytes",
                   path.c_str(), static_cast<unsigned long long>(file.size()));
  if (Status error = file.read(0, &start, sizeof start))
    return error;
  if (Status error = checkHeader(start, file))
    return error;
  if (!bytes.allocate(file.size()))
    return failure(MOEC_OUT_OF_MEMORY, "no memory for the %llu bytes of '%s'",
                   static_cast<unsigned long long>(file.size()), path.c_str());
  if (Status error = file.read(0, bytes.data(), bytes.size()))
    return error;
  Sha256::Digest digest = digestOf(bytes.data(), bytes.size());
  if (std::memcmp(digest.data(), header().digest, digest.size()) != 0)
    return failure(MOEC_DAMAGED, "'%s' is damaged: its bytes do not have the digest it states",
                   path.c_str());
  if (header().abi_version != MOEC_ABI_VERSION)
    return failure(MOEC_INCOMPATIBLE, "'%s' has ABI version %u, but this runtime has %u",
                   path.c_str(), header().abi_version, MOEC_ABI_VERSION);
  if (!inFile(header()))
    return failure(MOEC_DAMAGED, "'%s' has parts outside the file", path.c_str());
  return {};
}

SharedObject::~SharedObject() {
  if (handle)
    dlclose(handle);
  if (memory >= 0)
    close(memory);
}

Status SharedObject::load(std::string_view elf, const std::string &name) {
  // Generated code may call libm without saying so; a program that does not
  // use libm itself has not loaded it.
  static void *libm = dlopen("libm.so.6", RTLD_NOW | RTLD_GLOBAL);
  (void)libm;
  memory = memfd_create(name.c_str(), MFD_CLOEXEC);
  if (memory < 0)
    return systemFailure("make a memory file for", name);
  while (!elf.empty()) {
    ssize_t written = write(memory, elf.data(), elf.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return systemFailure("fill the memory file for", name);
    elf.remove_prefix(written);
  }
  handle = dlopen(("/proc/self/fd/" + std::to_string(memory)).c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle)
    return failure(MOEC_INCOMPATIBLE, "cannot load the code of '%s': %s", name.c_str(), dlerror());
  return {};
}

void *SharedObject::find(const char *symbol) const { return dlsym(handle, symbol); }

} // namespace moec::runtime
