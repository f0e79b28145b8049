#include "dialects/onnx/ElementTypes.h"

using namespace mlir;

namespace moec::onnx {
namespace {

constexpr int64_t kFirst = 1, kLast = 26;

template <unsigned width, IntegerType::SignednessSemantics sign>
Type integer(MLIRContext *context) {
  return IntegerType::get(context, width, sign);
}
template <typename T> Type plain(MLIRContext *context) { return T::get(context); }
Type none(MLIRContext *) { return {}; }

/// Indexed by the number, from kFirst.
constexpr Type (*kTypes[])(MLIRContext *) = {
    plain<Float32Type>,
    integer<8, IntegerType::Unsigned>,
    integer<8, IntegerType::Signed>,
    integer<16, IntegerType::Unsigned>,
    integer<16, IntegerType::Signed>,
    integer<32, IntegerType::Signed>,
    integer<64, IntegerType::Signed>,
    none, // string
    integer<1, IntegerType::Signless>,
    plain<Float16Type>,
    plain<Float64Type>,
    integer<32, IntegerType::Unsigned>,
    integer<64, IntegerType::Unsigned>,
    none, // complex64
    none, // complex128
    plain<BFloat16Type>,
    plain<Float8E4M3FNType>,
    plain<Float8E4M3FNUZType>,
    plain<Float8E5M2Type>,
    plain<Float8E5M2FNUZType>,
    integer<4, IntegerType::Unsigned>,
    integer<4, IntegerType::Signed>,
    plain<Float4E2M1FNType>,
    plain<Float8E8M0FNUType>,
    integer<2, IntegerType::Unsigned>,
    integer<2, IntegerType::Signed>,
};
static_assert(std::size(kTypes) == kLast - kFirst + 1);

} // namespace

Type elementTypeOf(MLIRContext *context, int64_t dataType) {
  return dataType < kFirst || dataType > kLast ? Type() : kTypes[dataType - kFirst](context);
}

int64_t dataTypeOf(Type elementType) {
  if (elementType.isSignlessInteger() && !elementType.isInteger(1))
    elementType = IntegerType::get(elementType.getContext(), elementType.getIntOrFloatBitWidth(),
                                   IntegerType::Signed);
  for (int64_t dataType = kFirst; dataType <= kLast; ++dataType)
    if (elementTypeOf(elementType.getContext(), dataType) == elementType)
      return dataType;
  return 0;
}

} // namespace moec::onnx
