//===- HostTensor.h - tensors in memory, to feed and to compare -----------===//
#pragma once

#include "moec/module_abi.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <string>
#include <vector>

namespace moec::e2e {

/// A dense row-major tensor. Elements of fewer than 8 bits have a byte each.
struct HostTensor {
  /// A TensorProto.DataType, as in moec_element_type.
  int32_t type = 0;
  std::vector<int64_t> dims;
  std::vector<char> bytes;

  int64_t size() const;
};

/// Bytes of one element in a HostTensor; 0 for types without tensors.
int64_t elementBytes(int32_t type);

/// Makes a tensor of packed elements (4 and 2 bits) one with a byte each.
void unpackElements(HostTensor &tensor);

/// Whether `actual` is what ONNX's test runner accepts: equal integers, floats
/// within 1e-7 + 1e-3 * |expected|, equal infinities, NaN for NaN. Returns
/// what differs, else an empty string.
std::string compare(const HostTensor &expected, const HostTensor &actual);

} // namespace moec::e2e
