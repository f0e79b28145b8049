#include "lib/import/Wire.h"

#include "llvm/Support/Endian.h"

using namespace llvm;

namespace moec::wire {
namespace {

Error truncated() { return createStringError("the data ends inside a field"); }

Expected<StringRef> take(StringRef &bytes, uint64_t count) {
  if (count > bytes.size())
    return truncated();
  StringRef taken = bytes.take_front(count);
  bytes = bytes.drop_front(count);
  return taken;
}

Error wrongKind(const Field &field) {
  return createStringError("field %u has the wrong wire type %u", field.number,
                           static_cast<unsigned>(field.kind));
}

Expected<Field> takeField(StringRef &bytes) {
  Expected<uint64_t> tag = takeVarint(bytes);
  if (!tag)
    return tag.takeError();
  if (*tag >> 3 == 0 || *tag >> 32)
    return createStringError("field number %llu is out of range",
                             static_cast<unsigned long long>(*tag >> 3));
  Field field{static_cast<uint32_t>(*tag >> 3), static_cast<Kind>(*tag & 7), 0, {}};
  uint64_t length = 0;
  switch (field.kind) {
  case Kind::Varint: {
    StringRef start = bytes;
    Expected<uint64_t> value = takeVarint(bytes);
    if (!value)
      return value.takeError();
    field.value = *value;
    field.bytes = start.drop_back(bytes.size());
    return field;
  }
  case Kind::Fixed64:
    length = 8;
    break;
  case Kind::Fixed32:
    length = 4;
    break;
  case Kind::Bytes: {
    Expected<uint64_t> prefix = takeVarint(bytes);
    if (!prefix)
      return prefix.takeError();
    length = *prefix;
    break;
  }
  default:
    return wrongKind(field);
  }
  Expected<StringRef> value = take(bytes, length);
  if (!value)
    return value.takeError();
  field.bytes = *value;
  return field;
}

} // namespace

Expected<uint64_t> takeVarint(StringRef &bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.size() && i < 10; ++i) {
    uint8_t byte = bytes[i];
    value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      bytes = bytes.drop_front(i + 1);
      return value;
    }
  }
  return bytes.size() < 10 ? truncated() : createStringError("a varint has more than 10 bytes");
}

Error forEachField(StringRef message, function_ref<Error(const Field &)> visit) {
  while (!message.empty()) {
    Expected<Field> field = takeField(message);
    if (!field)
      return field.takeError();
    if (Error error = visit(*field))
      return error;
  }
  return Error::success();
}

Error read(const Field &field, StringRef &value) {
  if (field.kind != Kind::Bytes)
    return wrongKind(field);
  value = field.bytes;
  return Error::success();
}

Error read(const Field &field, int64_t &value) {
  if (field.kind != Kind::Varint)
    return wrongKind(field);
  value = static_cast<int64_t>(field.value);
  return Error::success();
}

Error read(const Field &field, int32_t &value) {
  if (field.kind != Kind::Varint)
    return wrongKind(field);
  value = static_cast<int32_t>(field.value);
  return Error::success();
}

Error read(const Field &field, float &value) {
  if (field.kind != Kind::Fixed32)
    return wrongKind(field);
  value = support::endian::read<float, endianness::little>(field.bytes.data());
  return Error::success();
}

Error forEachVarint(const Field &field, function_ref<void(uint64_t)> visit) {
  if (field.kind == Kind::Varint) {
    visit(field.value);
    return Error::success();
  }
  if (field.kind != Kind::Bytes)
    return wrongKind(field);
  StringRef rest = field.bytes;
  while (!rest.empty()) {
    Expected<uint64_t> value = takeVarint(rest);
    if (!value)
      return value.takeError();
    visit(*value);
  }
  return Error::success();
}

} // namespace moec::wire
