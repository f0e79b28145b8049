//===- Metadata.h - docs/metadata.md as C++ --------------------------------===//
#pragma once

#include "runtime/Status.h"

#include <string_view>
#include <vector>

namespace moec::runtime {

/// A size, or -1 and what the model calls it (perhaps nothing).
struct Dimension {
  int64_t size = -1;
  std::string symbol;
};

struct TensorInfo {
  std::string name;
  int32_t type = 0;
  std::vector<Dimension> dims;
  /// The other half of a state pair, and the dimension along which it grows.
  int32_t state = -1, stateAxis = -1;

  int32_t rank() const { return static_cast<int32_t>(dims.size()); }
};

struct StateInfo {
  int32_t input, output, axis;
};

struct Site {
  int32_t kernel;
  std::string name, op;
  /// Where the launch's row offsets per expert are, when `experts` is not 0.
  int32_t offsetsWord = 0, experts = 0;
};

/// How a device cuts a kernel's indices into blocks.
struct Geometry {
  int64_t threads, indices, shared;
};

/// Code for a device, in the artifact's part for it.
struct DeviceCode {
  std::string chip, kind;
  uint64_t offset, length;
  /// By kernel.
  std::vector<Geometry> geometry;
};

struct WeightSlot {
  std::string name;
  uint64_t offset, bytes;
  std::string sha256;
};

struct WeightsInfo {
  std::string file;
  uint64_t length = 0, headerBytes = 0;
  std::string headerSha256;
  std::vector<WeightSlot> slots;
};

/// Bytes of the arena: so many times the sizes of these dimensions.
struct ArenaTerm {
  int64_t bytes;
  std::vector<std::string> times;
};

struct Metadata {
  std::string target, chip;
  std::vector<std::string> features;
  std::vector<TensorInfo> inputs, outputs;
  std::vector<StateInfo> states;
  std::vector<std::string> kernels, messages;
  std::vector<Site> sites;
  /// Best first.
  std::vector<DeviceCode> deviceCode;
  WeightsInfo weights;
  std::vector<ArenaTerm> arena;
};

/// Everything in the result is in range: types exist, indices are those of
/// existing things, ranks fit, the dimensions of state pairs agree.
Status parseMetadata(std::string_view text, Metadata &metadata);

} // namespace moec::runtime
