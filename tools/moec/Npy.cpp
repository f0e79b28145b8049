#include "tools/moec/Npy.h"

#include "runtime/Elements.h"

#include <algorithm>
#include <cstring>

using namespace moec::runtime;

namespace moec::tools {
namespace {

struct Dtype {
  int32_t type;
  const char *name;
};

/// The first entry of a type is how it is written.
constexpr Dtype kDtypes[] = {
    {MOEC_F32, "<f4"},        {MOEC_F64, "<f8"},        {MOEC_F16, "<f2"},    {MOEC_BF16, "<u2"},
    {MOEC_I64, "<i8"},        {MOEC_I32, "<i4"},        {MOEC_I16, "<i2"},    {MOEC_I8, "|i1"},
    {MOEC_U64, "<u8"},        {MOEC_U32, "<u4"},        {MOEC_U16, "<u2"},    {MOEC_U8, "|u1"},
    {MOEC_BOOL, "|b1"},       {MOEC_F8E4M3FN, "|u1"},   {MOEC_F8E5M2, "|u1"}, {MOEC_I4, "|i1"},
    {MOEC_F8E4M3FNUZ, "|u1"}, {MOEC_F8E5M2FNUZ, "|u1"}, {MOEC_U4, "|u1"},
};

const char *dtypeOf(int32_t type) {
  for (const Dtype &dtype : kDtypes)
    if (dtype.type == type)
      return dtype.name;
  return "";
}

/// The text behind `'key':` in the header's dictionary.
std::string member(const std::string &header, const std::string &key) {
  size_t at = header.find("'" + key + "'");
  at = at == std::string::npos ? at : header.find(':', at);
  at = at == std::string::npos ? at : header.find_first_not_of(' ', at + 1);
  return at == std::string::npos ? "" : header.substr(at);
}

bool parseShape(const std::string &text, std::vector<int64_t> &sizes) {
  if (text.empty() || text[0] != '(')
    return false;
  const char *at = text.c_str() + 1;
  while (*at != ')') {
    char *end = nullptr;
    long long size = std::strtoll(at, &end, 10);
    if (end == at || size < 0)
      return false;
    sizes.push_back(size);
    at = end + std::strspn(end, ", ");
  }
  return sizes.size() <= MOEC_MAX_RANK;
}

/// The dictionary, and where the data begins.
Status readHeader(const InputFile &file, std::string &header, uint64_t &data) {
  unsigned char start[12];
  auto foreign = [&] {
    return failure(MOEC_DAMAGED, "'%s' is not a .npy file", file.path().c_str());
  };
  if (file.size() < sizeof start)
    return foreign();
  if (Status error = file.read(0, start, sizeof start))
    return error;
  if (std::memcmp(start, "\x93NUMPY", 6) != 0 || start[6] < 1 || start[6] > 3)
    return foreign();
  uint64_t length = start[8] | start[9] << 8, begin = 10;
  if (start[6] > 1) {
    length |= uint64_t(start[10]) << 16 | uint64_t(start[11]) << 24;
    begin = 12;
  }
  if (length > file.size() - begin)
    return failure(MOEC_DAMAGED, "'%s' is cut short", file.path().c_str());
  header.resize(length);
  data = begin + length;
  return file.read(begin, header.data(), length);
}

} // namespace

moec_tensor Array::tensor() {
  moec_tensor result{};
  result.data = bytes.data();
  result.type = type;
  result.rank = static_cast<int32_t>(sizes.size());
  std::copy(sizes.begin(), sizes.end(), result.sizes);
  result.bytes = bytes.size();
  return result;
}

Status readNpy(const std::string &path, int32_t wanted, Array &array) {
  InputFile file;
  std::string header;
  uint64_t data = 0;
  if (Status error = file.open(path))
    return error;
  if (Status error = readHeader(file, header, data))
    return error;
  std::string dtype = member(header, "descr"), order = member(header, "fortran_order");
  std::string expected = dtypeOf(wanted);
  dtype = dtype.substr(0, dtype.find('\'', 1) + 1);
  if (dtype != "'" + expected + "'")
    return failure(MOEC_INVALID_ARGUMENT, "'%s' has elements of type %s, but '%s' (%s) is needed",
                   path.c_str(), dtype.c_str(), expected.c_str(), moec_element_name(wanted));
  if (order.rfind("False", 0) != 0)
    return failure(MOEC_INVALID_ARGUMENT, "'%s' is in Fortran order", path.c_str());
  array.type = wanted;
  if (!parseShape(member(header, "shape"), array.sizes))
    return failure(MOEC_DAMAGED, "'%s' has no shape that is supported", path.c_str());
  int64_t count = elementCount(array.sizes.data(), static_cast<int32_t>(array.sizes.size()));
  if (count < 0 || static_cast<uint64_t>(count * unpackedBytes(wanted)) != file.size() - data)
    return failure(MOEC_DAMAGED, "'%s' has %llu bytes of data, which its shape contradicts",
                   path.c_str(), static_cast<unsigned long long>(file.size() - data));
  array.bytes.resize(file.size() - data);
  if (Status error = file.read(data, array.bytes.data(), array.bytes.size()))
    return error;
  if (isPacked(wanted)) {
    std::string packed(callerBytes(wanted, count), '\0');
    pack(array.bytes.data(), count, packed.data());
    array.bytes = std::move(packed);
  }
  return {};
}

namespace {

void writeHeader(const moec_tensor &tensor, FILE *stream) {
  std::string shape;
  for (int dim = 0; dim < tensor.rank; ++dim)
    shape += std::to_string(tensor.sizes[dim]) + (dim == 0 || dim + 1 < tensor.rank ? "," : "");
  std::string header = std::string("{'descr': '") + dtypeOf(tensor.type) +
                       "', 'fortran_order': False, 'shape': (" + shape + "), }";
  // The data starts at a multiple of 64, and the header ends with a newline.
  header.resize((10 + header.size() + 1 + 63) / 64 * 64 - 10 - 1, ' ');
  header += '\n';
  std::fwrite("\x93NUMPY\x01\x00", 1, 8, stream);
  std::fputc(static_cast<int>(header.size() & 0xff), stream);
  std::fputc(static_cast<int>(header.size() >> 8), stream);
  std::fwrite(header.data(), 1, header.size(), stream);
}

/// Writes the innermost dimensions that are contiguous in one piece.
void writeData(const moec_tensor &tensor, int dim, const char *data, FILE *stream) {
  int64_t bytes = unpackedBytes(tensor.type);
  int64_t strides[MOEC_MAX_RANK];
  setStrides(tensor.sizes + dim, tensor.rank - dim, strides);
  if (std::equal(strides, strides + tensor.rank - dim, tensor.strides + dim)) {
    std::fwrite(data, bytes, elementCount(tensor.sizes + dim, tensor.rank - dim), stream);
    return;
  }
  for (int64_t i = 0; i < tensor.sizes[dim]; ++i)
    writeData(tensor, dim + 1, data + i * tensor.strides[dim] * bytes, stream);
}

} // namespace

Status writeNpy(const moec_tensor &tensor, OutputFile &file) {
  writeHeader(tensor, file.stream());
  if (isPacked(tensor.type)) {
    int64_t count = elementCount(tensor.sizes, tensor.rank);
    std::string unpacked(count, '\0');
    unpack(tensor.type, tensor.data, count, unpacked.data());
    std::fwrite(unpacked.data(), 1, unpacked.size(), file.stream());
  } else {
    writeData(tensor, 0, static_cast<const char *>(tensor.data), file.stream());
  }
  return file.close();
}

} // namespace moec::tools
