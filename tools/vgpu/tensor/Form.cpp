#include "tensor/Form.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace vgpu::tensor {
namespace {

/// A kind of operand types, with the shapes it comes in.
enum class Kind : uint8_t { F16, BF16, TF32, Fp8, Int8, Int4, B1, F64, None };

Kind kindOf(Format a, Format b) {
  switch (a) {
  case Format::E4M3:
  case Format::E5M2:
    return isFp8(b) ? Kind::Fp8 : Kind::None;
  case Format::S8:
  case Format::U8:
    return b == Format::S8 || b == Format::U8 ? Kind::Int8 : Kind::None;
  case Format::S4:
  case Format::U4:
    return b == Format::S4 || b == Format::U4 ? Kind::Int4 : Kind::None;
  default:
    break;
  }
  if (a != b)
    return Kind::None;
  switch (a) {
  case Format::F16:
    return Kind::F16;
  case Format::BF16:
    return Kind::BF16;
  case Format::TF32:
    return Kind::TF32;
  case Format::B1:
    return Kind::B1;
  case Format::F64:
    return Kind::F64;
  default:
    return Kind::None;
  }
}

struct Shape {
  Kind kind;
  int m, k;
  Origin origin = {80, 70};
};

/// Of mma.sync; n is 8.
constexpr Shape kShapes[] = {
    {Kind::F16, 8, 4, {70, 64}},
    {Kind::F16, 16, 8, {75, 65}},
    {Kind::F16, 16, 16},
    {Kind::BF16, 16, 8},
    {Kind::BF16, 16, 16},
    {Kind::TF32, 16, 4},
    {Kind::TF32, 16, 8},
    {Kind::Fp8, 16, 16, {89, 87}},
    {Kind::Fp8, 16, 32, {89, 84}},
    {Kind::Int8, 8, 16, {75, 65}},
    {Kind::Int8, 16, 16},
    {Kind::Int8, 16, 32},
    {Kind::Int4, 8, 32, {75, 65}},
    {Kind::Int4, 16, 32},
    {Kind::Int4, 16, 64},
    {Kind::B1, 8, 128, {75, 70}},
    {Kind::B1, 16, 128},
    {Kind::B1, 16, 256},
    {Kind::F64, 8, 4},
    {Kind::F64, 16, 4, {90, 78}},
    {Kind::F64, 16, 8, {90, 78}},
    {Kind::F64, 16, 16, {90, 78}},
};

const Shape *findShape(const Form &form) {
  Kind kind = kindOf(form.a, form.b);
  const auto *found = std::find_if(std::begin(kShapes), std::end(kShapes), [&](const Shape &known) {
    return known.kind == kind && known.m == form.m && known.k == form.k && form.n == 8;
  });
  return found == std::end(kShapes) ? nullptr : found;
}

bool isHalfOrSingle(Format format) { return format == Format::F16 || format == Format::F32; }

bool accumulatorsFit(Kind kind, const Form &form) {
  switch (kind) {
  case Kind::F16:
    if (!isHalfOrSingle(form.c) || !isHalfOrSingle(form.d))
      return false;
    return form.isQuadPairs() ? form.c == Format::F16 || form.d == Format::F32 : form.c == form.d;
  case Kind::Fp8:
    return isHalfOrSingle(form.d) && form.c == form.d;
  case Kind::BF16:
  case Kind::TF32:
    return form.c == Format::F32 && form.d == Format::F32;
  case Kind::Int8:
  case Kind::Int4:
  case Kind::B1:
    return form.c == Format::S32 && form.d == Format::S32;
  case Kind::F64:
    return form.c == Format::F64 && form.d == Format::F64;
  case Kind::None:
    return false;
  }
  return false;
}

int registers(int elements, Format format) { return std::max(1, elements / 32 / packOf(format)); }

} // namespace

int Form::registersOfA() const { return isQuadPairs() ? 2 : registers((m == 64 ? 16 : m) * k, a); }
int Form::registersOfB() const { return isQuadPairs() ? 2 : registers(k * n, b); }
int Form::registersOf(Format accumulator) const {
  if (isQuadPairs())
    return accumulator == Format::F16 ? 4 : 8;
  return registers((m == 64 ? 16 : m) * n, accumulator);
}

bool parseShape(std::string_view text, Form &form) {
  for (auto [letter, size] : {std::pair('m', &form.m), {'n', &form.n}, {'k', &form.k}}) {
    if (!text.starts_with(letter))
      return false;
    const char *end = text.data() + text.size();
    const char *rest = std::from_chars(text.data() + 1, end, *size).ptr;
    if (rest == text.data() + 1)
      return false;
    text = {rest, end};
  }
  return text.empty();
}

std::string whyNoMma(const Form &form) {
  Kind kind = kindOf(form.a, form.b);
  if (kind == Kind::None)
    return "no mma.sync takes these types of A and B together";
  if (!findShape(form))
    return "no mma.sync has this shape with these types";
  if (!accumulatorsFit(kind, form))
    return "these types of C and D do not go with A and B";
  if (!form.isQuadPairs() && (!form.isARowMajor || form.isBRowMajor))
    return "A must be .row and B .col";
  return "";
}

Origin originOf(const Form &form) {
  Origin origin = findShape(form)->origin;
  if (form.a == Format::B1 && form.isAnd)
    return {80, 71};
  if (isFp8(form.a) && form.d == Format::F16)
    origin.version = 87;
  return origin;
}

std::string whyNoWarpgroupMma(const Form &form) {
  Kind kind = kindOf(form.a, form.b);
  int bits = bitsOf(form.a);
  bool isKnown = kind == Kind::F16 || kind == Kind::BF16 || kind == Kind::TF32 ||
                 kind == Kind::Fp8 || kind == Kind::Int8 || kind == Kind::B1;
  if (!isKnown)
    return "wgmma does not take these types of A and B together";
  if (form.m != 64 || form.k != 256 / bits)
    return "wgmma of these types has shape m64nNk" + std::to_string(256 / bits);
  if (form.n < 8 || form.n > 256 || form.n % 8)
    return "N must be a multiple of 8 up to 256, but is " + std::to_string(form.n);
  bool isWide = kind == Kind::Int8 || kind == Kind::B1;
  if (isWide && form.n > 24 && form.n % 16)
    return "N of integers must be 8, 24 or a multiple of 16, but is " + std::to_string(form.n);
  if (!accumulatorsFit(kind, form))
    return "this type of D does not go with A and B";
  return "";
}

} // namespace vgpu::tensor
