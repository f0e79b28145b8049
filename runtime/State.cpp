#include "runtime/State.h"

#include "runtime/Elements.h"
#include "runtime/SizeText.h"

#include <algorithm>

namespace moec::runtime {
namespace {

std::string stateText(const TensorInfo &info) { return "the state of " + inputText(info); }

Status noMemory(const TensorInfo &info) {
  return failure(MOEC_OUT_OF_MEMORY, "no memory for %s", stateText(info).c_str());
}

} // namespace

State::State(const Metadata &metadata, int64_t firstCapacity, Memory &memory)
    : firstCapacity(firstCapacity) {
  for (const StateInfo &info : metadata.states)
    pairs.emplace_back(memory, info, metadata.inputs[info.input], metadata.outputs[info.output]);
}

int64_t State::Pair::rowBytes() const {
  return elementCount(sizes + info.axis + 1, past->rank() - info.axis - 1) *
         unpackedBytes(past->type);
}

int64_t State::Pair::runs() const { return elementCount(sizes, info.axis); }

moec_view State::Pair::view(const Cache &cache, int64_t length) const {
  moec_view view{};
  view.data = cache.buffer.data();
  std::copy_n(sizes, past->rank(), view.sizes);
  view.sizes[info.axis] = cache.capacity;
  setStrides(view.sizes, past->rank(), view.strides);
  view.sizes[info.axis] = length;
  return view;
}

int64_t State::Pair::bytesOf(int64_t capacity) const {
  int64_t all[MOEC_MAX_RANK];
  std::copy_n(sizes, past->rank(), all);
  all[info.axis] = capacity;
  int64_t count = elementCount(all, past->rank());
  return count < 0 ? -1 : count * unpackedBytes(past->type);
}

int64_t State::Pair::capacityFor(int64_t length, int64_t firstCapacity) const {
  return length <= cache.capacity ? cache.capacity
                                  : std::max({length, 2 * cache.capacity, firstCapacity});
}

Status State::Pair::allocate(int64_t capacity, Cache &cache) const {
  int64_t bytes = bytesOf(capacity);
  if (bytes < 0 || !cache.buffer.allocate(bytes))
    return noMemory(*past);
  cache.capacity = capacity;
  return {};
}

Status State::Pair::chooseSizes(const Symbols &symbols) {
  int64_t chosen[MOEC_MAX_RANK] = {};
  for (int dim = 0; dim < past->rank(); ++dim) {
    const Dimension &dimension = past->dims[dim];
    chosen[dim] = dimension.size >= 0 ? dimension.size : symbols.find(dimension.symbol);
    if (dim == info.axis)
      chosen[dim] = 0;
    else if (chosen[dim] < 0)
      return failure(MOEC_INVALID_ARGUMENT,
                     "%s: no other input tells its dimension %d; pass an empty tensor of the "
                     "right sizes",
                     inputText(*past).c_str(), dim);
  }
  if (std::equal(chosen, chosen + past->rank(), sizes))
    return {};
  std::copy_n(chosen, past->rank(), sizes);
  forget(cache);
  return {};
}

Status State::begin(Symbols &symbols, std::vector<moec_view> &views) {
  for (Pair &pair : pairs) {
    if (pair.length() == 0)
      if (Status error = pair.chooseSizes(symbols))
        return error;
    for (int dim = 0; dim < pair.past->rank(); ++dim)
      if (Status error =
              symbols.bind(pair.past->dims[dim], pair.sizes[dim], stateText(*pair.past), dim))
        return error;
    views[pair.info.input] = pair.view(pair.cache, pair.length());
    pair.nextLength = -1;
  }
  return {};
}

int32_t State::pairOfOutput(int32_t output) const {
  for (size_t pair = 0; pair < pairs.size(); ++pair)
    if (pairs[pair].info.output == output)
      return static_cast<int32_t>(pair);
  return -1;
}

Status State::present(int32_t index, const int64_t *sizes, moec_view &view) {
  Pair &pair = pairs[index];
  int32_t axis = pair.info.axis;
  for (int dim = 0; dim < pair.past->rank(); ++dim)
    if (dim == axis ? sizes[dim] < pair.length() : sizes[dim] != pair.sizes[dim])
      return failure(MOEC_EXECUTION_FAILED, "%s: dimension %d becomes %lld, but it was %lld",
                     stateText(*pair.past).c_str(), dim, static_cast<long long>(sizes[dim]),
                     static_cast<long long>(pair.sizes[dim]));
  Cache *cache = &pair.cache;
  if (sizes[axis] > cache->capacity) {
    cache = &pair.grown;
    int64_t capacity = pair.capacityFor(sizes[axis], firstCapacity);
    if (sizes[axis] > cache->capacity)
      if (Status error = pair.allocate(capacity, *cache))
        return error;
  }
  pair.nextLength = sizes[axis];
  view = pair.view(*cache, sizes[axis]);
  return {};
}

Status State::commit(moec_tensor *outputs) {
  for (const Pair &pair : pairs)
    if (pair.nextLength < 0)
      return failure(MOEC_EXECUTION_FAILED, "%s was not continued", stateText(*pair.past).c_str());
  for (Pair &pair : pairs) {
    if (pair.nextLength > pair.cache.capacity)
      pair.cache = std::move(pair.grown);
    pair.forget(pair.grown);
    pair.sizes[pair.info.axis] = pair.nextLength;
    moec_view view = pair.view(pair.cache, pair.nextLength);
    moec_tensor &tensor = outputs[pair.info.output];
    void *data = pair.memory->isHost() ? view.data : nullptr;
    tensor = {data, pair.past->type, pair.past->rank(), {}, {}, pair.cache.buffer.size()};
    std::copy_n(view.sizes, tensor.rank, tensor.sizes);
    std::copy_n(view.strides, tensor.rank, tensor.strides);
  }
  return {};
}

void State::rollback() {
  for (Pair &pair : pairs)
    pair.forget(pair.grown);
}

int64_t State::length() const {
  int64_t length = 0;
  for (const Pair &pair : pairs)
    length = std::max(length, pair.length());
  return length;
}

void State::reset() {
  for (Pair &pair : pairs)
    pair.sizes[pair.info.axis] = 0;
}

Status State::truncate(int64_t newLength) {
  if (newLength < 0 || newLength > length())
    return failure(MOEC_INVALID_ARGUMENT, "requires 0 <= length <= %lld, but length is %lld",
                   static_cast<long long>(length()), static_cast<long long>(newLength));
  for (Pair &pair : pairs)
    pair.sizes[pair.info.axis] = std::min(pair.length(), newLength);
  return {};
}

/// Leaves the result in `grown`.
Status State::Pair::reordered(const int64_t *rows, int64_t count) {
  if (info.axis == 0)
    return failure(MOEC_INVALID_ARGUMENT, "%s has no batch dimension", stateText(*past).c_str());
  for (int64_t row = 0; row < count; ++row)
    if (rows[row] < 0 || rows[row] >= sizes[0])
      return failure(MOEC_INVALID_ARGUMENT, "rows[%lld] is %lld, but the batch has %lld rows",
                     static_cast<long long>(row), static_cast<long long>(rows[row]),
                     static_cast<long long>(sizes[0]));
  int64_t runsPerRow = elementCount(sizes + 1, info.axis - 1);
  int64_t stride = cache.capacity * rowBytes();
  int64_t oldCount = std::exchange(sizes[0], count);
  Status error = allocate(cache.capacity, grown);
  sizes[0] = oldCount;
  if (error)
    return error;
  auto *from = static_cast<const char *>(cache.buffer.data());
  auto *to = static_cast<char *>(grown.buffer.data());
  for (int64_t row = 0; row < count && !error; ++row)
    error = memory->copy(Memory::Direction::inside,
                         {to + row * runsPerRow * stride, from + rows[row] * runsPerRow * stride,
                          length() * rowBytes(), runsPerRow, stride, stride});
  return error;
}

Status State::reorder(const int64_t *rows, int64_t count) {
  if (length() == 0)
    return failure(MOEC_INVALID_ARGUMENT, "the session keeps no state that could be reordered");
  if (count < 1)
    return failure(MOEC_INVALID_ARGUMENT, "requires at least one row, but count is %lld",
                   static_cast<long long>(count));
  for (Pair &pair : pairs)
    if (Status error = pair.reordered(rows, count)) {
      rollback();
      return error;
    }
  for (Pair &pair : pairs) {
    pair.cache = std::move(pair.grown);
    pair.forget(pair.grown);
    pair.sizes[0] = count;
  }
  return {};
}

Status State::copyFrom(const State &other) {
  for (size_t i = 0; i < pairs.size(); ++i) {
    Pair &pair = pairs[i];
    const Pair &from = other.pairs[i];
    std::copy_n(from.sizes, MOEC_MAX_RANK, pair.sizes);
    if (from.length() == 0)
      continue;
    if (Status error = pair.allocate(from.cache.capacity, pair.cache))
      return error;
    int64_t stride = pair.cache.capacity * pair.rowBytes();
    if (Status error =
            pair.memory->copy(Memory::Direction::inside,
                              {pair.cache.buffer.data(), from.cache.buffer.data(),
                               pair.length() * pair.rowBytes(), pair.runs(), stride, stride}))
      return error;
  }
  return {};
}

Status State::read(int32_t index, void *data, size_t bytes) const {
  const Pair &pair = pairs[index];
  int64_t run = pair.length() * pair.rowBytes(), runs = pair.runs();
  size_t held = run * runs;
  if (bytes != held)
    return failure(MOEC_INVALID_ARGUMENT, "%s has %zu bytes, but %zu are to be read",
                   stateText(*pair.past).c_str(), held, bytes);
  return pair.memory->copy(
      Memory::Direction::download,
      {data, pair.cache.buffer.data(), run, runs, run, pair.cache.capacity * pair.rowBytes()});
}

int64_t State::missingBytes(const Symbols &symbols) const {
  int64_t bytes = 0;
  for (const Pair &pair : pairs) {
    // At least one row more, if nothing tells how many.
    int64_t length = evaluateSize(pair.present->dims[pair.info.axis], symbols);
    int64_t capacity = pair.capacityFor(std::max(length, pair.length() + 1), firstCapacity);
    if (capacity > pair.cache.capacity)
      bytes += std::max<int64_t>(pair.bytesOf(capacity), 0);
  }
  return bytes;
}

int64_t State::bytes() const {
  int64_t bytes = 0;
  for (const Pair &pair : pairs)
    bytes += static_cast<int64_t>(pair.cache.buffer.size());
  return bytes;
}

} // namespace moec::runtime
