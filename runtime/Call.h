//===- Call.h - one execution of a module's entry --------------------------===//
#pragma once

#include "runtime/Outputs.h"
#include "runtime/State.h"
#include "runtime/devices/Device.h"

#include <csetjmp>

namespace moec::runtime {

/// Memory for sizes known only from data.
class Heap {
public:
  explicit Heap(Memory &memory) : memory(memory) {}
  Heap(const Heap &) = delete;
  Heap &operator=(const Heap &) = delete;
  ~Heap() { clear(); }

  /// Null when there is none.
  void *allocate(int64_t bytes);
  void release(void *data);
  void clear();
  int64_t peak() const { return peak_; }

private:
  struct Block {
    void *data;
    int64_t bytes;
    bool inUse;
  };

  Memory &memory;
  std::vector<Block> blocks;
  int64_t inUse = 0, peak_ = 0;
};

/// What a session lends to its executions.
struct Workspace {
  explicit Workspace(Memory &memory) : arena(memory), heap(memory) {}

  Buffer arena;
  Heap heap;
  Trace trace;
};

/// Calls the entry with services that work on the session's parts. Returns
/// the error that ended it early, if any.
Status execute(const Model &model, Device &device, Workspace &workspace, Outputs &outputs,
               State *state, const std::vector<moec_view> &inputs);

} // namespace moec::runtime
