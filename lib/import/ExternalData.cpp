#include "lib/import/ExternalData.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Path.h"

using namespace llvm;

namespace moec {

Expected<ExternalData::File> ExternalData::find(StringRef location) const {
  auto refuse = [&](const Twine &reason) {
    return createStringError("refers to external data '" + location + "', " + reason);
  };
  if (location.empty())
    return createStringError("has external data without a location");
  if (location.contains('\0'))
    return createStringError("has external data with a zero byte in its location");
  // The offset of such a location is an address in the exporter's memory.
  if (location.contains("_ORT_MEM_ADDR_"))
    return refuse("which is a place in another program's memory");
  if (sys::path::is_absolute(location))
    return refuse("which is not relative to the model's folder");
  if (is_contained(make_range(sys::path::begin(location), sys::path::end(location)), ".."))
    return refuse("which leaves the model's folder");

  SmallString<128> path(folder), realFolder, realPath;
  sys::path::append(path, location);
  if (std::error_code error = sys::fs::real_path(folder, realFolder))
    return refuse("but the model's folder cannot be found: " + error.message());
  if (std::error_code error = sys::fs::real_path(path, realPath))
    return refuse("which cannot be found: " + error.message());
  if (!realFolder.ends_with("/"))
    realFolder += '/';
  if (!realPath.starts_with(realFolder))
    return refuse("which is a link that leaves the model's folder");
  sys::fs::file_status status;
  if (std::error_code error = sys::fs::status(realPath, status))
    return refuse("which cannot be read: " + error.message());
  if (!sys::fs::is_regular_file(status))
    return refuse("which is not a file");
  return File{realPath.str().str(), status.getSize()};
}

Error ExternalData::check(const ExternalReference &reference) {
  auto known = files.find(reference.location);
  if (known == files.end()) {
    Expected<File> file = find(reference.location);
    if (!file)
      return file.takeError();
    known = files.try_emplace(reference.location, std::move(*file)).first;
  }
  uint64_t size = known->second.size;
  if (reference.offset > size || reference.length > size - reference.offset)
    return createStringError("refers to " + Twine(reference.length) + " bytes at offset " +
                             Twine(reference.offset) + " of '" + reference.location +
                             "', which has " + Twine(size) + " bytes");
  return Error::success();
}

Error ExternalData::read(StringRef location, uint64_t offset, MutableArrayRef<char> bytes) {
  Expected<FileSlices> file = FileSlices::open(files.at(location).path);
  if (!file)
    return file.takeError();
  return file->read(offset, bytes);
}

} // namespace moec
