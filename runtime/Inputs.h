//===- Inputs.h - tensors against what the model says of them --------------===//
#pragma once

#include "runtime/Metadata.h"

#include <map>

namespace moec::runtime {

/// Sizes that have a name, and where each was seen first.
class Symbols {
public:
  void clear() { sizes.clear(); }
  /// Compares dimension `index` of `what` with the model's, and with equal
  /// names seen before.
  Status bind(const Dimension &dimension, int64_t size, const std::string &what, int index);
  /// -1 when no tensor had that name.
  int64_t find(std::string_view name) const;

private:
  struct Known {
    int64_t size;
    std::string where;
  };
  std::map<std::string, Known, std::less<>> sizes;
};

/// "input 'x'"
std::string inputText(const TensorInfo &info);

/// Type, rank, sizes, memory.
Status checkInput(const TensorInfo &info, const moec_tensor &tensor, Symbols &symbols);

} // namespace moec::runtime
