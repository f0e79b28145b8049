//===- Weights.h - the weights of a model, in memory once ------------------===//
#pragma once

#include "runtime/Files.h"
#include "runtime/Memory.h"
#include "runtime/Metadata.h"

namespace moec::runtime {

class Weights {
public:
  Weights() = default;
  Weights(const Weights &) = delete;
  Weights &operator=(const Weights &) = delete;
  ~Weights() { release(); }

  /// Fails when the file is not the one that `info` describes, by length and
  /// header; with `verify`, by its contents too.
  Status load(const std::string &path, const WeightsInfo &info, moec_weights_memory memory,
              bool verify);

  /// Pointers by slot.
  void *const *slots() const { return pointers.data(); }
  int64_t bytes() const { return bytes_; }
  /// Gives the memory back; pointers dangle, bytes stay what they were.
  void release();

private:
  Status map(const InputFile &file);
  Status readHuge(const InputFile &file);

  std::vector<void *> pointers;
  void *mapping = nullptr;
  int64_t bytes_ = 0;
  Buffer buffer;
};

} // namespace moec::runtime
