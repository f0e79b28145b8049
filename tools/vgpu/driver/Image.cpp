#include "driver/Image.h"

#include "driver/Cubin.h"

#include <cstring>
#include <dlfcn.h>

namespace vgpu {
namespace {

constexpr uint32_t kElfMagic = 0x464c457f;
constexpr uint32_t kFatbinMagic = 0xba55ed50;
constexpr uint32_t kWrapperMagic = 0x466243b1; // what nvcc puts around a fatbin in a program

struct FatbinHeader {
  uint32_t magic;
  uint16_t version, headerBytes;
  uint64_t bytes; ///< of the entries that follow
};

struct FatbinEntry {
  uint16_t kind; ///< 1: PTX, 2: cubin
  uint16_t version;
  uint32_t headerBytes;
  uint64_t payloadBytes;
  uint32_t compressedBytes;
  uint32_t reserved0;
  uint16_t minor, major;
  uint32_t architecture; ///< 90 for sm_90
  uint32_t nameOffset, nameBytes;
  uint64_t flags;
  uint64_t reserved1;
  uint64_t uncompressedBytes;
};
static_assert(sizeof(FatbinEntry) == 64);

constexpr uint64_t kCompressedLz4 = 0x2000;
constexpr uint64_t kCompressedZstd = 0x8000;

std::string decompressZstd(const uint8_t *data, size_t bytes, size_t uncompressed) {
  // By name, so that a program that loads plain PTX needs no zstd.
  void *library = dlopen("libzstd.so.1", RTLD_NOW | RTLD_LOCAL);
  auto decompress = reinterpret_cast<size_t (*)(void *, size_t, const void *, size_t)>(
      library ? dlsym(library, "ZSTD_decompress") : nullptr);
  if (!decompress)
    throw ImageError(CUDA_ERROR_NOT_SUPPORTED,
                     "the fatbin is compressed and libzstd.so.1 cannot be opened");
  std::string text(uncompressed, '\0');
  if (decompress(text.data(), text.size(), data, bytes) != uncompressed)
    throw ImageError(CUDA_ERROR_INVALID_IMAGE, "the fatbin's compressed PTX is damaged");
  return text;
}

/// LZ4's block format: literals and matches, as its specification describes.
std::string decompressLz4(const uint8_t *data, size_t bytes, size_t uncompressed) {
  std::string text;
  const uint8_t *end = data + bytes;
  auto length = [&](size_t base) {
    if (base == 15)
      for (uint8_t more = 255; more == 255 && data < end; base += more)
        more = *data++;
    return base;
  };
  while (data < end && text.size() < uncompressed) {
    uint8_t token = *data++;
    size_t literals = length(token >> 4);
    if (literals > static_cast<size_t>(end - data))
      break;
    text.append(reinterpret_cast<const char *>(data), literals);
    data += literals;
    if (end - data < 2)
      break;
    size_t distance = data[0] | data[1] << 8;
    data += 2;
    if (distance == 0 || distance > text.size())
      break;
    for (size_t count = length(token & 15) + 4; count > 0; --count)
      text += text[text.size() - distance];
  }
  if (text.size() != uncompressed)
    throw ImageError(CUDA_ERROR_INVALID_IMAGE, "the fatbin's compressed PTX is damaged");
  return text;
}

std::string textOf(const FatbinEntry &entry, const uint8_t *payload) {
  if (entry.flags & kCompressedZstd)
    return decompressZstd(payload, entry.compressedBytes, entry.uncompressedBytes);
  if (entry.flags & kCompressedLz4)
    return decompressLz4(payload, entry.compressedBytes, entry.uncompressedBytes);
  return {reinterpret_cast<const char *>(payload), entry.payloadBytes};
}

/// What follows `.target`.
std::string targetOf(const std::string &text) {
  size_t begin = text.find(".target");
  if (begin == std::string::npos)
    return {};
  begin = text.find_first_not_of(" \t", begin + 7);
  return text.substr(begin, text.find_first_of(", \t\r\n", begin) - begin);
}

/// Programs may be without the library that decompresses it, if only their PTX is plain.
void readCubin(const FatbinEntry &entry, const uint8_t *payload, const DeviceModel &model,
               Image &into) {
  if (entry.architecture != static_cast<uint32_t>(10 * model.major + model.minor))
    return;
  try {
    into.registers.merge(registersOf(textOf(entry, payload)));
  } catch (const ImageError &) {
    return;
  }
}

Image fromFatbin(const uint8_t *image, const DeviceModel &model) {
  FatbinHeader header;
  std::memcpy(&header, image, sizeof header);
  const uint8_t *position = image + header.headerBytes, *end = position + header.bytes;
  Image best;
  std::string seen;
  uint32_t bestArchitecture = 0;
  while (position + sizeof(FatbinEntry) <= end) {
    FatbinEntry entry;
    std::memcpy(&entry, position, sizeof entry);
    if (entry.headerBytes < sizeof entry)
      break;
    const uint8_t *payload = position + entry.headerBytes;
    position = payload + entry.payloadBytes;
    if (entry.kind != 1) {
      seen += " cubin";
      if (entry.kind == 2)
        readCubin(entry, payload, model, best);
      continue;
    }
    std::string text = textOf(entry, payload);
    text.resize(std::strlen(text.c_str()));
    std::string target = targetOf(text);
    seen += " " + target;
    if (accepts(model, target) && entry.architecture >= bestArchitecture) {
      bestArchitecture = entry.architecture;
      best.text = std::move(text);
    }
  }
  if (best.text.empty())
    throw ImageError(CUDA_ERROR_NO_BINARY_FOR_GPU,
                     "the fatbin has no PTX for " + std::string(model.target) + ", only:" + seen);
  return best;
}

} // namespace

Image readImage(const void *image, const DeviceModel &model) {
  auto bytes = static_cast<const uint8_t *>(image);
  uint32_t magic;
  std::memcpy(&magic, bytes, sizeof magic);
  if (magic == kWrapperMagic) {
    std::memcpy(static_cast<void *>(&bytes), bytes + 8, sizeof bytes);
    std::memcpy(&magic, bytes, sizeof magic);
  }
  if (magic == kFatbinMagic)
    return fromFatbin(bytes, model);
  if (magic == kElfMagic)
    throw ImageError(CUDA_ERROR_NO_BINARY_FOR_GPU,
                     "the image is a cubin: machine code, which only a GPU can run; ship its PTX");
  std::string text(reinterpret_cast<const char *>(bytes));
  std::string target = targetOf(text);
  if (target.empty())
    throw ImageError(CUDA_ERROR_INVALID_IMAGE, "the image is neither PTX nor a fatbin");
  if (!accepts(model, target))
    throw ImageError(CUDA_ERROR_NO_BINARY_FOR_GPU, "the PTX is for " + target +
                                                       ", but the device is " +
                                                       std::string(model.target));
  return {std::move(text), {}};
}

} // namespace vgpu
