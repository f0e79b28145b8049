#include "test/e2e/HostTensor.h"

#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/APInt.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>
#include <cstring>

using namespace llvm;

namespace moec::e2e {
namespace {

/// TensorProto.DataType of the types that module_abi.h has no name for.
enum { kF4E2M1FN = 23, kF8E8M0FNU = 24, kU2 = 25, kI2 = 26 };

int bitsOf(int32_t type) {
  switch (type) {
  case kU2:
  case kI2:
    return 2;
  case MOEC_U4:
  case MOEC_I4:
  case kF4E2M1FN:
    return 4;
  case MOEC_U8:
  case MOEC_I8:
  case MOEC_BOOL:
  case MOEC_F8E4M3FN:
  case MOEC_F8E4M3FNUZ:
  case MOEC_F8E5M2:
  case MOEC_F8E5M2FNUZ:
  case kF8E8M0FNU:
    return 8;
  case MOEC_U16:
  case MOEC_I16:
  case MOEC_F16:
  case MOEC_BF16:
    return 16;
  case MOEC_F32:
  case MOEC_I32:
  case MOEC_U32:
    return 32;
  case MOEC_I64:
  case MOEC_U64:
  case MOEC_F64:
    return 64;
  default:
    return 0;
  }
}

const fltSemantics *semanticsOf(int32_t type) {
  switch (type) {
  case MOEC_F32:
    return &APFloat::IEEEsingle();
  case MOEC_F64:
    return &APFloat::IEEEdouble();
  case MOEC_F16:
    return &APFloat::IEEEhalf();
  case MOEC_BF16:
    return &APFloat::BFloat();
  case MOEC_F8E4M3FN:
    return &APFloat::Float8E4M3FN();
  case MOEC_F8E4M3FNUZ:
    return &APFloat::Float8E4M3FNUZ();
  case MOEC_F8E5M2:
    return &APFloat::Float8E5M2();
  case MOEC_F8E5M2FNUZ:
    return &APFloat::Float8E5M2FNUZ();
  case kF4E2M1FN:
    return &APFloat::Float4E2M1FN();
  case kF8E8M0FNU:
    return &APFloat::Float8E8M0FNU();
  default:
    return nullptr;
  }
}

/// The bits of element `i`, without those above a narrow element.
uint64_t bitsAt(const HostTensor &tensor, int64_t i) {
  uint64_t bits = 0;
  int64_t width = elementBytes(tensor.type);
  std::memcpy(&bits, tensor.bytes.data() + i * width, width);
  return bits & maskTrailingOnes<uint64_t>(bitsOf(tensor.type));
}

double floatAt(const HostTensor &tensor, int64_t i, const fltSemantics &semantics) {
  APFloat value(semantics, APInt(bitsOf(tensor.type), bitsAt(tensor, i)));
  bool losesInfo;
  value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &losesInfo);
  return value.convertToDouble();
}

bool isClose(double expected, double actual) {
  if (std::isnan(expected) || std::isnan(actual))
    return std::isnan(expected) && std::isnan(actual);
  if (std::isinf(expected) || std::isinf(actual))
    return expected == actual;
  return std::abs(actual - expected) <= 1e-7 + 1e-3 * std::abs(expected);
}

std::string shapeText(ArrayRef<int64_t> dims) {
  return formatv("[{0:$[, ]}]", make_range(dims.begin(), dims.end())).str();
}

} // namespace

int64_t HostTensor::size() const {
  int64_t count = 1;
  for (int64_t dim : dims)
    count *= dim;
  return count;
}

int64_t elementBytes(int32_t type) { return (bitsOf(type) + 7) / 8; }

void unpackElements(HostTensor &tensor) {
  int bits = bitsOf(tensor.type);
  if (bits >= 8)
    return;
  std::vector<char> unpacked(tensor.size());
  for (auto [i, byte] : enumerate(unpacked))
    byte = (static_cast<uint8_t>(tensor.bytes[i * bits / 8]) >> (i * bits % 8)) & ((1 << bits) - 1);
  tensor.bytes = std::move(unpacked);
}

std::string compare(const HostTensor &expected, const HostTensor &actual) {
  if (actual.type != expected.type)
    return formatv("has element type {0}, expected {1}", actual.type, expected.type);
  if (actual.dims != expected.dims)
    return formatv("has shape {0}, expected {1}", shapeText(actual.dims), shapeText(expected.dims));
  const fltSemantics *semantics = semanticsOf(expected.type);
  int64_t different = 0, count = expected.size();
  std::string first;
  for (int64_t i = 0; i < count; ++i) {
    if (semantics) {
      double want = floatAt(expected, i, *semantics), got = floatAt(actual, i, *semantics);
      if (isClose(want, got))
        continue;
      if (different++ == 0)
        first = formatv("{0:F9} at {1}, expected {2:F9}", got, i, want);
    } else {
      uint64_t want = bitsAt(expected, i), got = bitsAt(actual, i);
      if (want == got)
        continue;
      if (different++ == 0)
        first = formatv("{0} at {1}, expected {2}", static_cast<int64_t>(got), i,
                        static_cast<int64_t>(want));
    }
  }
  if (!different)
    return "";
  return formatv("differs in {0} of {1} elements: {2}", different, count, first);
}

} // namespace moec::e2e
