//===- Outputs.h - where results are written -------------------------------===//
#pragma once

#include "runtime/Inputs.h"
#include "runtime/Memory.h"

namespace moec::runtime {

/// Outputs that are not state of the session: in buffers of the caller, or of
/// the session.
class Outputs {
public:
  Outputs(const Metadata &metadata, Memory &memory) : metadata(metadata), memory(memory) {
    for (size_t i = 0; i < metadata.outputs.size(); ++i)
      slots.emplace_back(memory);
  }

  /// Has the output written to memory of the caller's, until given null.
  void bind(int32_t index, void *data, size_t bytes) { slots[index].bound = {data, bytes}; }
  bool isBound(int32_t index) const { return slots[index].bound.data; }

  /// `inputs` must live until `finish`.
  void begin(const moec_tensor *inputs);
  Status place(int32_t index, const int64_t *sizes, moec_view &view);
  /// Fills in what the caller sees of an output that `place` has placed.
  Status finish(int32_t index, moec_tensor &tensor);
  int64_t bytes() const;
  /// What an execution will allocate of the device's memory, as far as sizes
  /// tell; outputs that are state are not among them if the session keeps it.
  int64_t missingBytes(const Symbols &symbols, bool keepsState) const;

private:
  struct Bytes {
    void *data = nullptr;
    size_t bytes = 0;
  };

  struct Slot {
    explicit Slot(Memory &memory) : computed(memory) {}

    Bytes bound;
    Buffer buffer;
    /// What generated code writes, where that is not what the caller sees: in a
    /// device's memory, or elements of half a byte, one per byte.
    Buffer computed;
    Buffer unpacked;
    moec_view view;
    bool placed = false;
  };

  bool overlapsInput(const void *data, size_t bytes, std::string &name) const;
  Status boundMemory(int32_t index, size_t bytes, void *&data) const;
  Status ownMemory(int32_t index, size_t bytes, void *&data);

  bool isComputedElsewhere(const TensorInfo &info) const;
  Status fetch(const TensorInfo &info, Slot &slot);

  const Metadata &metadata;
  Memory &memory;
  const moec_tensor *inputs = nullptr;
  std::vector<Slot> slots;
  /// Outputs of the last execution that are inputs of this one.
  std::vector<Buffer> retired;
};

} // namespace moec::runtime
