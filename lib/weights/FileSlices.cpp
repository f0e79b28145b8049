#include "lib/weights/FileSlices.h"

#include "llvm/Support/FileUtilities.h"

using namespace llvm;

namespace moec {

Expected<FileSlices> FileSlices::open(StringRef path) {
  Expected<sys::fs::file_t> file = sys::fs::openNativeFileForRead(path);
  if (!file)
    return createFileError(path, file.takeError());
  return FileSlices(path.str(), *file);
}

FileSlices::FileSlices(FileSlices &&other) : path(std::move(other.path)), file(other.file) {
  other.file = sys::fs::kInvalidFile;
}

FileSlices::~FileSlices() {
  if (file != sys::fs::kInvalidFile)
    (void)sys::fs::closeFile(file); // It was only read.
}

Error FileSlices::read(uint64_t offset, MutableArrayRef<char> bytes) const {
  while (!bytes.empty()) {
    Expected<size_t> count = sys::fs::readNativeFileSlice(file, bytes, offset);
    if (!count)
      return createFileError(path, count.takeError());
    if (*count == 0)
      return createStringError("'%s' ends before byte %llu", path.c_str(),
                               static_cast<unsigned long long>(offset + bytes.size()));
    bytes = bytes.drop_front(*count);
    offset += *count;
  }
  return Error::success();
}

Error writeFile(StringRef path, function_ref<Error(raw_ostream &)> write) {
  return llvm::writeToOutput(path, [&](raw_ostream &stream) -> Error {
    Error error = write(stream);
    stream.flush();
    // writeToOutput opens a raw_fd_ostream for every path but this one.
    if (path == "/dev/null")
      return error;
    auto &file = static_cast<raw_fd_ostream &>(stream);
    if (file.has_error()) {
      std::error_code code = file.error();
      file.clear_error();
      consumeError(std::move(error));
      return createFileError(path, code);
    }
    return error;
  });
}

} // namespace moec
