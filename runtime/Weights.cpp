#include "runtime/Weights.h"

#include "runtime/Sha256.h"

#include <algorithm>
#include <memory>
#include <sys/mman.h>

namespace moec::runtime {
namespace {

constexpr uint64_t kSlice = 8 << 20;

/// The digest of a range, with plain reads of a slice at a time: verifying
/// does not bring the file into this process's memory.
Status digest(const InputFile &file, uint64_t offset, uint64_t length, std::string &hex) {
  std::unique_ptr<char[]> slice(new char[std::min(length, kSlice)]);
  Sha256 sum;
  while (length) {
    uint64_t part = std::min(length, kSlice);
    if (Status error = file.read(offset, slice.get(), part))
      return error;
    sum.update(slice.get(), part);
    offset += part, length -= part;
  }
  hex = toHex(sum.finish());
  return {};
}

Status checkHeader(const InputFile &file, const WeightsInfo &info) {
  if (file.size() != info.length)
    return failure(MOEC_DAMAGED, "'%s' has %llu bytes, but the model's weights have %llu",
                   file.path().c_str(), static_cast<unsigned long long>(file.size()),
                   static_cast<unsigned long long>(info.length));
  std::string hex;
  if (Status error = digest(file, 0, info.headerBytes, hex))
    return error;
  if (hex != info.headerSha256)
    return failure(MOEC_DAMAGED, "'%s' does not hold the weights of this model",
                   file.path().c_str());
  return {};
}

Status checkContents(const InputFile &file, const WeightsInfo &info) {
  for (const WeightSlot &slot : info.slots) {
    std::string hex;
    if (Status error = digest(file, slot.offset, slot.bytes, hex))
      return error;
    if (hex != slot.sha256)
      return failure(MOEC_DAMAGED, "'%s' is damaged: weight '%s' does not have its digest",
                     file.path().c_str(), slot.name.c_str());
  }
  return {};
}

} // namespace

void Weights::release() {
  if (mapping)
    munmap(mapping, bytes_);
  mapping = nullptr;
  buffer.release();
}

Status Weights::load(const std::string &path, const WeightsInfo &info, moec_weights_memory memory,
                     bool verify) {
  InputFile file;
  if (Status error = file.open(path))
    return error;
  if (Status error = checkHeader(file, info))
    return error;
  if (verify)
    if (Status error = checkContents(file, info))
      return error;
  if (Status error = memory == MOEC_WEIGHTS_HUGE ? readHuge(file) : map(file))
    return error;
  auto *base = static_cast<char *>(mapping ? mapping : buffer.data());
  for (const WeightSlot &slot : info.slots)
    pointers.push_back(base + slot.offset);
  return {};
}

Status Weights::map(const InputFile &file) {
  if (file.size() == 0)
    return {};
  void *memory = mmap(nullptr, file.size(), PROT_READ, MAP_PRIVATE, file.descriptor(), 0);
  if (memory == MAP_FAILED)
    return systemFailure("map", file.path());
  mapping = memory;
  bytes_ = file.size();
  return {};
}

Status Weights::readHuge(const InputFile &file) {
  if (!buffer.allocate(file.size(), Buffer::Pages::huge))
    return failure(MOEC_OUT_OF_MEMORY, "no memory for the %llu bytes of '%s'",
                   static_cast<unsigned long long>(file.size()), file.path().c_str());
  bytes_ = file.size();
  return file.read(0, buffer.data(), file.size());
}

} // namespace moec::runtime
