// Arithmetic with the roundings .rz, .rm and .rp. Compiled with -frounding-math.
#include "exec/ops/Float.h"

#include <cfenv>

namespace vgpu::VGPU_VARIANT {
namespace {

using ptx::Type;

enum : uint32_t { kFlush = 1 << 16, kSaturate = 1 << 17 };

class Rounding {
public:
  explicit Rounding(int mode) : previous(std::fegetround()) { std::fesetround(mode); }
  ~Rounding() { std::fesetround(previous); }
  Rounding(const Rounding &) = delete;

private:
  int previous;
};

enum class Op : uint8_t { Add, Sub, Mul, Fma, Div, Rcp, Sqrt };

template <class T> T apply(Op op, T a, T b, T c) {
  switch (op) {
  case Op::Add:
    return a + b;
  case Op::Sub:
    return a - b;
  case Op::Mul:
    return a * b;
  case Op::Fma:
    return std::fma(a, b, c);
  case Op::Div:
    return a / b;
  case Op::Rcp:
    return T(1) / a;
  case Op::Sqrt:
    return std::sqrt(a);
  }
  return a;
}

template <class T> Step directed(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  Rounding rounding(static_cast<int>(instruction.immediate));
  Op op = static_cast<Op>(instruction.modifiers & 0xff);
  T *to = warp.lanes<T>(instruction.operands[0]);
  const T *a = warp.lanes<T>(instruction.operands[1]);
  const T *b = warp.lanes<T>(instruction.operands[2]);
  const T *c = warp.lanes<T>(instruction.operands[3]);
  forLanes(lanes, [&](int lane) {
    T x = a[lane], y = b[lane], z = c[lane];
    if constexpr (std::is_same_v<T, float>)
      if (instruction.modifiers & kFlush)
        x = flushed(x), y = flushed(y), z = flushed(z);
    T result = apply(op, x, y, z);
    if constexpr (std::is_same_v<T, float>) {
      if (instruction.modifiers & kFlush)
        result = flushed(result);
      result = instruction.modifiers & kSaturate ? saturated(result) : canonical(result);
    }
    to[lane] = result;
  });
  return Step::Next;
}

} // namespace

Handler selectDirected(Decoding &decoding) {
  constexpr std::pair<std::string_view, int> modes[] = {
      {"rz", FE_TOWARDZERO}, {"rm", FE_DOWNWARD}, {"rp", FE_UPWARD}};
  constexpr std::pair<std::string_view, Op> ops[] = {
      {"add", Op::Add}, {"sub", Op::Sub}, {"mul", Op::Mul}, {"fma", Op::Fma},
      {"mad", Op::Fma}, {"div", Op::Div}, {"rcp", Op::Rcp}, {"sqrt", Op::Sqrt}};
  for (auto [name, mode] : modes) {
    if (!decoding.has(name))
      continue;
    decoding.out.immediate = mode;
    for (auto [opcode, op] : ops)
      if (decoding.source.opcode == opcode)
        decoding.out.modifiers = static_cast<uint32_t>(op);
    decoding.out.modifiers |= decoding.has("ftz") ? kFlush : 0;
    decoding.out.modifiers |= decoding.has("sat") ? kSaturate : 0;
    for (size_t source = decoding.operandCount(); source < 4; ++source)
      decoding.out.operands[source] = decoding.out.operands[1];
    if (decoding.type() == Type::F32)
      return directed<float>;
    if (decoding.type() == Type::F64)
      return directed<double>;
    decoding.unsupported();
  }
  return nullptr;
}

} // namespace vgpu::VGPU_VARIANT
