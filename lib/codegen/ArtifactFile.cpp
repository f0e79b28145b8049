#include "lib/codegen/ArtifactFile.h"

#include "lib/weights/FileSlices.h"
#include "moec/artifact.h"
#include "moec/module_abi.h"
#include "llvm/Support/SHA256.h"

using namespace llvm;

namespace moec {
namespace {

/// Copies at most as much as the field holds with its NUL.
template <size_t size> void setText(char (&field)[size], StringRef text) {
  std::copy_n(text.begin(), std::min(size - 1, text.size()), field);
}

} // namespace

Error writeArtifact(StringRef path, const ArtifactParts &parts) {
  StringRef contents[MOEC_PART_COUNT] = {parts.metadata, parts.hostCode, parts.deviceCode};
  moec_artifact_header header = {};
  std::copy_n(MOEC_ARTIFACT_MAGIC, sizeof(header.magic), header.magic);
  header.abi_version = MOEC_ABI_VERSION;
  header.header_bytes = sizeof(header);
  setText(header.target, parts.target);
  setText(header.chip, parts.chip);
  header.length = sizeof(header);
  for (auto [range, part] : zip(header.parts, contents)) {
    range = {header.length, part.size()};
    header.length += part.size();
  }
  const auto *bytes = reinterpret_cast<const uint8_t *>(&header);
  constexpr size_t kDigested = offsetof(moec_artifact_header, length);
  SHA256 digest;
  digest.update(ArrayRef(bytes + kDigested, sizeof(header) - kDigested));
  for (StringRef part : contents)
    digest.update(part);
  llvm::copy(digest.final(), header.digest);
  return writeFile(path, [&](raw_ostream &stream) -> Error {
    stream.write(reinterpret_cast<const char *>(&header), sizeof(header));
    for (StringRef part : contents)
      stream << part;
    return Error::success();
  });
}

} // namespace moec
