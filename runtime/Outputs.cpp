#include "runtime/Outputs.h"

#include "runtime/Elements.h"
#include "runtime/SizeText.h"

#include <algorithm>

namespace moec::runtime {
namespace {

std::string outputText(const TensorInfo &info) { return "output '" + info.name + "'"; }

} // namespace

void Outputs::begin(const moec_tensor *newInputs) {
  inputs = newInputs;
  for (Slot &slot : slots)
    slot.placed = false;
  retired.clear();
}

bool Outputs::overlapsInput(const void *data, size_t bytes, std::string &name) const {
  auto *begin = static_cast<const char *>(data);
  for (size_t i = 0; i < metadata.inputs.size(); ++i) {
    auto *input = static_cast<const char *>(inputs[i].data);
    if (!inputs[i].type || !input)
      continue;
    int64_t inputBytes = callerBytes(inputs[i].type, elementCount(inputs[i].sizes, inputs[i].rank));
    if (input < begin + bytes && begin < input + inputBytes) {
      name = inputText(metadata.inputs[i]);
      return true;
    }
  }
  return false;
}

Status Outputs::boundMemory(int32_t index, size_t bytes, void *&data) const {
  const Bytes &given = slots[index].bound;
  std::string what = outputText(metadata.outputs[index]), input;
  if (given.bytes < bytes)
    return failure(MOEC_INVALID_ARGUMENT, "%s: it needs %zu bytes, but its buffer has %zu",
                   what.c_str(), bytes, given.bytes);
  if (overlapsInput(given.data, bytes, input))
    return failure(MOEC_INVALID_ARGUMENT, "%s: its buffer overlaps %s", what.c_str(),
                   input.c_str());
  data = given.data;
  return {};
}

Status Outputs::ownMemory(int32_t index, size_t bytes, void *&data) {
  Slot &slot = slots[index];
  std::string input;
  // A past that was the last execution's present must stay intact.
  if (slot.buffer.data() && overlapsInput(slot.buffer.data(), slot.buffer.size(), input))
    retired.push_back(std::move(slot.buffer));
  if (!slot.buffer.reserve(bytes))
    return failure(MOEC_OUT_OF_MEMORY, "no memory for the %zu bytes of %s", bytes,
                   outputText(metadata.outputs[index]).c_str());
  data = slot.buffer.data();
  return {};
}

Status Outputs::place(int32_t index, const int64_t *sizes, moec_view &view) {
  const TensorInfo &info = metadata.outputs[index];
  Slot &slot = slots[index];
  int64_t count = elementCount(sizes, info.rank());
  if (count < 0)
    return failure(MOEC_EXECUTION_FAILED, "%s: its sizes are negative or too large",
                   outputText(info).c_str());
  size_t bytes = callerBytes(info.type, count);
  void *data = nullptr;
  if (Status error =
          isBound(index) ? boundMemory(index, bytes, data) : ownMemory(index, bytes, data))
    return error;
  slot.view.data = data;
  std::copy_n(sizes, info.rank(), slot.view.sizes);
  setStrides(sizes, info.rank(), slot.view.strides);
  slot.placed = true;
  view = slot.view;
  if (!isComputedElsewhere(info))
    return {};
  if (!slot.computed.reserve(count * unpackedBytes(info.type)))
    return failure(MOEC_OUT_OF_MEMORY, "no memory for %s", outputText(info).c_str());
  view.data = slot.computed.data();
  return {};
}

bool Outputs::isComputedElsewhere(const TensorInfo &info) const {
  return isPacked(info.type) || !memory.isHost();
}

/// Brings what was computed elsewhere to where the caller sees it.
Status Outputs::fetch(const TensorInfo &info, Slot &slot) {
  int64_t count = elementCount(slot.view.sizes, info.rank());
  const void *computed = slot.computed.data();
  if (!memory.isHost()) {
    if (isPacked(info.type) && !slot.unpacked.reserve(count))
      return failure(MOEC_OUT_OF_MEMORY, "no memory for %s", outputText(info).c_str());
    void *to = isPacked(info.type) ? slot.unpacked.data() : slot.view.data;
    if (Status error = memory.copy(Memory::Direction::download,
                                   {to, computed, count * unpackedBytes(info.type)}))
      return error;
    computed = to;
  }
  if (isPacked(info.type))
    pack(computed, count, slot.view.data);
  return {};
}

Status Outputs::finish(int32_t index, moec_tensor &tensor) {
  const TensorInfo &info = metadata.outputs[index];
  Slot &slot = slots[index];
  if (!slot.placed)
    return failure(MOEC_EXECUTION_FAILED, "%s was not computed", outputText(info).c_str());
  int64_t count = elementCount(slot.view.sizes, info.rank());
  if (isComputedElsewhere(info))
    if (Status error = fetch(info, slot))
      return error;
  tensor.data = slot.view.data;
  tensor.type = info.type;
  tensor.rank = info.rank();
  std::copy_n(slot.view.sizes, info.rank(), tensor.sizes);
  std::copy_n(slot.view.strides, info.rank(), tensor.strides);
  tensor.bytes = callerBytes(info.type, count);
  return {};
}

int64_t Outputs::missingBytes(const Symbols &symbols, bool keepsState) const {
  int64_t bytes = 0;
  for (size_t i = 0; i < slots.size(); ++i) {
    const TensorInfo &info = metadata.outputs[i];
    int64_t sizes[MOEC_MAX_RANK];
    for (int32_t dim = 0; dim < info.rank(); ++dim)
      sizes[dim] = evaluateSize(info.dims[dim], symbols);
    int64_t needed = elementCount(sizes, info.rank()) * unpackedBytes(info.type);
    if (!keepsState || info.state < 0)
      bytes += std::max<int64_t>(needed - static_cast<int64_t>(slots[i].computed.size()), 0);
  }
  return bytes;
}

int64_t Outputs::bytes() const {
  size_t bytes = 0;
  for (const Slot &slot : slots)
    bytes += slot.buffer.size() + slot.computed.size() + slot.unpacked.size();
  return static_cast<int64_t>(bytes);
}

} // namespace moec::runtime
