//===- ExternalData.h - tensors in files beside the model -----------------===//
#pragma once

#include "lib/weights/FileSlices.h"
#include "llvm/ADT/StringMap.h"

namespace moec {

/// Where a tensor says its bytes are.
struct ExternalReference {
  llvm::StringRef location;
  uint64_t offset = 0, length = 0;
};

/// The files of a model's external data. A location is relative to the model's
/// folder and stays inside it: not absolute, no "..", not through a link that
/// leaves the folder.
class ExternalData {
public:
  explicit ExternalData(llvm::StringRef folder) : folder(folder.empty() ? "." : folder) {}

  /// Fails unless the file is there and holds the bytes.
  llvm::Error check(const ExternalReference &reference);

  /// Reads bytes of a location that was checked.
  llvm::Error read(llvm::StringRef location, uint64_t offset, llvm::MutableArrayRef<char> bytes);

private:
  struct File {
    std::string path;
    uint64_t size;
  };
  llvm::Expected<File> find(llvm::StringRef location) const;

  std::string folder;
  llvm::StringMap<File> files;
};

} // namespace moec
