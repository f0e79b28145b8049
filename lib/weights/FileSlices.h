//===- FileSlices.h - parts of files, without mapping them ----------------===//
#pragma once

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include <functional>

namespace moec {

/// A file that is read in parts. Nothing is mapped, so what was read does not
/// stay in the process's memory.
class FileSlices {
public:
  static llvm::Expected<FileSlices> open(llvm::StringRef path);
  FileSlices(FileSlices &&other);
  ~FileSlices();

  /// Fills `bytes` from `offset`, or fails, naming the file.
  llvm::Error read(uint64_t offset, llvm::MutableArrayRef<char> bytes) const;

private:
  FileSlices(std::string path, llvm::sys::fs::file_t file) : path(std::move(path)), file(file) {}
  std::string path;
  llvm::sys::fs::file_t file;
};

/// Writes a file that appears whole or not at all; a full disk is an error.
llvm::Error writeFile(llvm::StringRef path,
                      llvm::function_ref<llvm::Error(llvm::raw_ostream &)> write);

} // namespace moec
