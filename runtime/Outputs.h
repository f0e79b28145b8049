//===- Outputs.h - where results are written -------------------------------===//
#pragma once

#include "runtime/Memory.h"
#include "runtime/Metadata.h"

namespace moec::runtime {

/// Outputs that are not state of the session: in buffers of the caller, or of
/// the session.
class Outputs {
public:
  explicit Outputs(const Metadata &metadata) : metadata(metadata), slots(metadata.outputs.size()) {}

  /// Has the output written to memory of the caller's, until given null.
  void bind(int32_t index, void *data, size_t bytes) { slots[index].bound = {data, bytes}; }
  bool isBound(int32_t index) const { return slots[index].bound.data; }

  /// `inputs` must live until `finish`.
  void begin(const moec_tensor *inputs);
  Status place(int32_t index, const int64_t *sizes, moec_view &view);
  /// Fills in what the caller sees of an output that `place` has placed.
  Status finish(int32_t index, moec_tensor &tensor);
  int64_t bytes() const;

private:
  struct Memory {
    void *data = nullptr;
    size_t bytes = 0;
  };

  struct Slot {
    Memory bound;
    Buffer buffer;
    /// Elements of half a byte, one per byte as generated code writes them.
    Buffer unpacked;
    moec_view view;
    bool placed = false;
  };

  bool overlapsInput(const void *data, size_t bytes, std::string &name) const;
  Status boundMemory(int32_t index, size_t bytes, void *&data) const;
  Status ownMemory(int32_t index, size_t bytes, void *&data);

  const Metadata &metadata;
  const moec_tensor *inputs = nullptr;
  std::vector<Slot> slots;
  /// Outputs of the last execution that are inputs of this one.
  std::vector<Buffer> retired;
};

} // namespace moec::runtime
