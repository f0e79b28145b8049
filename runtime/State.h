//===- State.h - pasts that a session keeps --------------------------------===//
#pragma once

#include "runtime/Inputs.h"
#include "runtime/Memory.h"

namespace moec::runtime {

/// A capacity buffer per state pair, of which the first `length` rows along
/// the growing dimension are in use. During an execution the present is the
/// past's buffer, or a larger one when the past's is too small; the past is
/// never changed, so an execution that fails changes nothing.
class State {
public:
  State(const Metadata &metadata, int64_t firstCapacity, Memory &memory);

  /// The pasts, as inputs of an execution; sizes that no buffer fixes yet come
  /// from other inputs.
  Status begin(Symbols &symbols, std::vector<moec_view> &views);
  /// Where the present of `pair` is to be written.
  Status present(int32_t pair, const int64_t *sizes, moec_view &view);
  /// The presents become the pasts; fills in what the caller sees of them: no
  /// data where that is the device's.
  Status commit(moec_tensor *outputs);
  void rollback();

  /// The pair of an output, or -1.
  int32_t pairOfOutput(int32_t output) const;

  int64_t length() const;
  void reset();
  Status truncate(int64_t length);
  Status reorder(const int64_t *rows, int64_t count);
  Status copyFrom(const State &other);
  /// Copies a pair's tensor to the host, row-major.
  Status read(int32_t pair, void *data, size_t bytes) const;
  int64_t bytes() const;
  /// What the execution that has begun will allocate, as far as sizes tell.
  int64_t missingBytes(const Symbols &symbols) const;

private:
  struct Cache {
    explicit Cache(Memory &memory) : buffer(memory) {}
    Buffer buffer;
    int64_t capacity = 0;
  };

  struct Pair {
    Pair(Memory &memory, const StateInfo &info, const TensorInfo &past, const TensorInfo &present)
        : memory(&memory), info(info), past(&past), present(&present), cache(memory),
          grown(memory) {}

    Memory *memory;
    StateInfo info;
    const TensorInfo *past, *present;
    /// Without the growing dimension, whose entry is the length in use.
    int64_t sizes[MOEC_MAX_RANK] = {};
    Cache cache, grown;
    int64_t nextLength = -1;

    int64_t length() const { return sizes[info.axis]; }
    moec_view view(const Cache &cache, int64_t length) const;
    /// Bytes of one row: everything behind the growing dimension.
    int64_t rowBytes() const;
    /// Number of such runs of rows: everything before the growing dimension.
    int64_t runs() const;
    /// Bytes of a cache; -1 where that is no number.
    int64_t bytesOf(int64_t capacity) const;
    /// What a cache of `length` rows gets: what it has, if that is enough.
    int64_t capacityFor(int64_t length, int64_t firstCapacity) const;
    Status allocate(int64_t capacity, Cache &cache) const;
    Status chooseSizes(const Symbols &symbols);
    void forget(Cache &cache) const { cache = Cache(*memory); }
    Status reordered(const int64_t *rows, int64_t count);
  };

  int64_t firstCapacity;
  std::vector<Pair> pairs;
};

} // namespace moec::runtime
