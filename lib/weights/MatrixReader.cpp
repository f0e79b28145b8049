#include "lib/weights/MatrixReader.h"

#include "lib/weights/Quantize.h"
#include "mlir/IR/BuiltinTypes.h"
#include <cstring>

using namespace llvm;

namespace moec {
namespace {

/// Lines are read together up to about this many elements.
constexpr int64_t kReadElements = 1 << 20;

template <typename T> T elementAt(ArrayRef<char> bytes, size_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * sizeof(T), sizeof(T));
  return value;
}

} // namespace

Error MatrixReader::readRows(int64_t group, int64_t from, int64_t to, int64_t columns,
                             function_ref<int64_t(int64_t)> place, MutableArrayRef<float> out) {
  int64_t start = (group - part.group) * part.strides[0] + (from - part.row) * part.strides[1];
  // Lines are what is contiguous: rows, or columns of a transposed matrix.
  bool areRows = part.strides[2] == 1 && (columns > 1 || part.strides[1] != 1);
  int64_t lines = areRows ? to - from : columns, length = areRows ? columns : to - from;
  int64_t stride = areRows ? part.strides[1] : part.strides[2];
  // Lines that follow each other are one read.
  int64_t perRead = stride == length ? std::max<int64_t>(1, kReadElements / length) : 1;
  std::vector<float> values(std::min(perRead, lines) * length);
  for (int64_t first = 0; first < lines; first += perRead) {
    int64_t count = std::min(perRead, lines - first);
    if (Error error =
            read(start + first * stride, MutableArrayRef(values).take_front(count * length)))
      return error;
    for (int64_t line = 0; line < count; ++line)
      for (int64_t i = 0; i < length; ++i) {
        int64_t row = from + (areRows ? first + line : i), column = areRows ? i : first + line;
        out[place(row) + column] = values[line * length + i];
      }
  }
  return Error::success();
}

Error MatrixReader::read(int64_t index, MutableArrayRef<float> out) {
  int64_t bits = part.element.getIntOrFloatBitWidth();
  uint64_t first = index * bits / 8, last = divideCeil((index + out.size()) * bits, 8);
  if (part.element.isF32())
    return readBytes(part.offset + first,
                     {reinterpret_cast<char *>(out.data()), out.size() * sizeof(float)});
  buffer.resize(last - first);
  if (Error error = readBytes(part.offset + first, buffer))
    return error;
  for (size_t i = 0; i < out.size(); ++i) {
    if (part.element.isF16()) {
      out[i] = fromHalf(elementAt<uint16_t>(buffer, i));
    } else if (part.element.isBF16()) {
      out[i] = fromBfloat(elementAt<uint16_t>(buffer, i));
    } else {
      int64_t bit = (index + static_cast<int64_t>(i)) * bits;
      auto byte = static_cast<uint8_t>(buffer[bit / 8 - first]);
      int code = byte >> bit % 8 & ((1 << bits) - 1);
      out[i] = static_cast<float>(part.isSigned ? code ^ 1 << (bits - 1) : code);
    }
  }
  return Error::success();
}

Error MatrixReader::readBytes(uint64_t offset, MutableArrayRef<char> out) {
  if (!part.bytes.empty()) {
    if (offset + out.size() > part.bytes.size())
      return createStringError("a constant of %zu bytes is read up to byte %llu", part.bytes.size(),
                               (unsigned long long)(offset + out.size()));
    std::memcpy(out.data(), part.bytes.data() + offset, out.size());
    return Error::success();
  }
  auto file = open(part.file);
  if (!file)
    return file.takeError();
  return (*file)->read(offset, out);
}

} // namespace moec
