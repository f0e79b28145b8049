//===- Wire.h - the protobuf wire format, in place ------------------------===//
//
// Fields are views of the bytes they were read from: nothing is copied, so the
// memory of reading a model does not grow with the weights inside it, and the
// place of every tensor in its file is known.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <cstdint>
#include <functional>

namespace moec::wire {

enum class Kind : uint8_t { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

struct Field {
  uint32_t number;
  Kind kind;
  /// Of a varint.
  uint64_t value = 0;
  /// The encoded value; of Kind::Bytes what follows the length.
  llvm::StringRef bytes;
};

/// Takes a varint off the front of `bytes`.
llvm::Expected<uint64_t> takeVarint(llvm::StringRef &bytes);

/// Calls `visit` for every field of a message, unknown ones included.
llvm::Error forEachField(llvm::StringRef message,
                         llvm::function_ref<llvm::Error(const Field &)> visit);

/// Readers of one field; they fail when it is encoded as another kind.
llvm::Error read(const Field &field, llvm::StringRef &value);
llvm::Error read(const Field &field, int64_t &value);
llvm::Error read(const Field &field, int32_t &value);
llvm::Error read(const Field &field, float &value);

/// Calls `visit` for the numbers of a repeated varint, packed or not.
llvm::Error forEachVarint(const Field &field, llvm::function_ref<void(uint64_t)> visit);

} // namespace moec::wire
