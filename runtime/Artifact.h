//===- Artifact.h - read and verify OUT.moec -------------------------------===//
#pragma once

#include "moec/artifact.h"
#include "runtime/Memory.h"
#include "runtime/Status.h"

#include <string_view>

namespace moec::runtime {

/// The bytes of an artifact, all of them compared with its digest.
class Artifact {
public:
  /// Fails for files that are cut short, changed, foreign, or of another ABI.
  Status read(const std::string &path);

  const moec_artifact_header &header() const {
    return *static_cast<const moec_artifact_header *>(bytes.data());
  }
  std::string_view part(moec_artifact_part part) const {
    const moec_artifact_range &range = header().parts[part];
    return {static_cast<const char *>(bytes.data()) + range.offset, range.length};
  }

private:
  Buffer bytes;
};

/// A shared object in memory that the dynamic linker has loaded.
class SharedObject {
public:
  SharedObject() = default;
  SharedObject(const SharedObject &) = delete;
  SharedObject &operator=(const SharedObject &) = delete;
  ~SharedObject();

  /// `name` is for messages and debuggers.
  Status load(std::string_view elf, const std::string &name);
  void *find(const char *symbol) const;

private:
  void *handle = nullptr;
  /// Open as long as the handle: the linker knows a file by its path, which is
  /// this number, and gives who opens an equal path what it has loaded before.
  int memory = -1;
};

} // namespace moec::runtime
