// Integers, bits, comparisons and moves.
#include "Instructions.h"

#include <algorithm>

namespace {

TEST_F(Instructions, CarryChains) {
  check(
      "add.cc.u32 %t0, %a, %a; addc.u32 %d, %b, %b;",
      +[](uint32_t a, uint32_t b) { return 2 * b + (a >> 31); });
  check(
      "sub.cc.u32 %t0, %a, %b; subc.cc.u32 %d, %a, %b; subc.u32 %d, %d, 0;",
      +[](uint32_t a, uint32_t b) {
        uint64_t wide = (uint64_t{a} << 32 | a) - (uint64_t{b} << 32 | b);
        bool borrows = (uint64_t{a} << 32 | a) < (uint64_t{b} << 32 | b);
        return uint32_t(wide >> 32) - borrows;
      });
  check(
      "mad.lo.cc.u32 %t0, %a, %b, %c; madc.hi.u32 %d, %a, %b, %c;",
      +[](uint32_t a, uint32_t b, uint32_t c) {
        uint64_t product = uint64_t{a} * b;
        bool carries = uint64_t{uint32_t(product)} + c > 0xffffffff;
        return uint32_t((product >> 32) + c + carries);
      });
  check(
      "add.cc.u64 %w0, %a, %b; addc.u64 %d, 0, 0;",
      +[](uint64_t a, uint64_t b) { return uint64_t(a + b < a); });
}

TEST_F(Instructions, IntegerModifiers) {
  check(
      "add.sat.s32 %d, %a, %b;", +[](uint32_t a, uint32_t b) {
        int64_t sum = int64_t{int32_t(a)} + int32_t(b);
        return uint32_t(std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX));
      });
  check(
      "mul.hi.s64 %d, %a, %b;", +[](uint64_t a, uint64_t b) {
        return uint64_t(static_cast<__int128>(int64_t(a)) * int64_t(b) >> 64);
      });
  check(
      "mul.wide.s16 %d, %a, %b;",
      +[](uint16_t a, uint16_t b) { return uint32_t(int16_t(a) * int16_t(b)); });
  check(
      "mad.wide.s32 %d, %a, %b, %c;", +[](uint32_t a, uint32_t b, uint64_t c) {
        return uint64_t(int64_t{int32_t(a)} * int32_t(b)) + c;
      });
  check(
      "mad.hi.u32 %d, %a, %b, %c;",
      +[](uint32_t a, uint32_t b, uint32_t c) { return uint32_t(uint64_t{a} * b >> 32) + c; });
  check(
      "div.s32 %d, %a, %b;",
      +[](uint32_t a, uint32_t b) { return b ? uint32_t(int64_t{int32_t(a)} / int32_t(b)) : ~0u; });
  check("rem.u16 %d, %a, %b;", +[](uint16_t a, uint16_t b) { return b ? uint16_t(a % b) : a; });
  check(
      "sad.s32 %d, %a, %b, %c;", +[](uint32_t a, uint32_t b, uint32_t c) {
        return (int32_t(a) < int32_t(b) ? b - a : a - b) + c;
      });
  check(
      "mad24.hi.u32 %d, %a, %b, %c;", +[](uint32_t a, uint32_t b, uint32_t c) {
        return uint32_t(uint64_t{a & 0xffffff} * (b & 0xffffff) >> 16) + c;
      });
  check(
      "dp2a.hi.u32.s32 %d, %a, %b, %c;", +[](uint32_t a, uint32_t b, uint32_t c) {
        return c + uint32_t(int32_t(a & 0xffff) * int8_t(b >> 16)) +
               uint32_t(int32_t(a >> 16) * int8_t(b >> 24));
      });
}

uint32_t reversed(uint32_t a) {
  uint32_t result = 0;
  for (int bit = 0; bit < 32; ++bit)
    result |= (a >> bit & 1) << (31 - bit);
  return result;
}

uint64_t extracted(uint64_t value, uint32_t position, uint32_t length, bool isSigned, int bits) {
  position &= 0xff, length &= 0xff;
  uint64_t result = 0;
  bool sign =
      isSigned && length > 0 && (value >> std::min<uint32_t>(position + length - 1, bits - 1) & 1);
  for (int bit = 0; bit < bits; ++bit) {
    bool isIn = bit < int(length) && position + bit < uint32_t(bits);
    uint64_t set = isIn ? value >> (position + bit) & 1 : sign;
    result |= set << bit;
  }
  return result;
}

TEST_F(Instructions, Bits) {
  check("brev.b32 %d, %a;", reversed);
  check(
      "bfe.u32 %d, %a, %b, %c;",
      +[](uint32_t a, uint32_t b, uint32_t c) { return uint32_t(extracted(a, b, c, false, 32)); });
  check(
      "bfe.s32 %d, %a, %b, %c;",
      +[](uint32_t a, uint32_t b, uint32_t c) { return uint32_t(extracted(a, b, c, true, 32)); });
  check(
      "bfe.s64 %d, %a, %b, %c;",
      +[](uint64_t a, uint32_t b, uint32_t c) { return extracted(a, b, c, true, 64); });
  check(
      "bfi.b32 %d, %a, %b, %c, 5;", +[](uint32_t a, uint32_t b, uint32_t c) {
        uint32_t position = c & 0xff;
        uint32_t mask = position < 32 ? 31u << position : 0;
        return (b & ~mask) | (position < 32 ? a << position & mask : 0);
      });
  check(
      "bfind.s32 %d, %a;", +[](uint32_t a) {
        uint32_t bits = a >> 31 ? ~a : a;
        return bits ? 31u - std::countl_zero(bits) : ~0u;
      });
  check(
      "bfind.shiftamt.u64 %d, %a;",
      +[](uint64_t a) { return a ? uint32_t(std::countl_zero(a)) : ~0u; });
  check(
      "bmsk.clamp.b32 %d, %a, %b;", +[](uint32_t a, uint32_t b) {
        uint64_t mask = b >= 32 ? 0xffffffff : (uint64_t{1} << b) - 1;
        return a > 31 ? 0u : uint32_t(mask << a);
      });
  check(
      "fns.b32 %d, %a, 0, 3;", +[](uint32_t a) {
        for (int removed = 0; removed < 2; ++removed)
          a &= a - 1;
        return a ? uint32_t(std::countr_zero(a)) : ~0u;
      });
  check("shl.b64 %d, %a, %b;", +[](uint64_t a, uint32_t b) { return b > 63 ? 0 : a << b; });
  check(
      "shr.s16 %d, %a, %b;",
      +[](uint16_t a, uint32_t b) { return uint16_t(int16_t(a) >> std::min(b, 15u)); });
  check(
      "shf.r.clamp.b32 %d, %a, %b, %c;", +[](uint32_t a, uint32_t b, uint32_t c) {
        return uint32_t((uint64_t{b} << 32 | a) >> std::min(c, 32u));
      });
  check(
      "lop3.b32 %d, %a, %b, %c, 0xd4;", +[](uint32_t a, uint32_t b, uint32_t c) {
        uint32_t result = 0;
        for (int bit = 0; bit < 32; ++bit) {
          uint32_t entry = (a >> bit & 1) * 4 + (b >> bit & 1) * 2 + (c >> bit & 1);
          result |= (0xd4u >> entry & 1) << bit;
        }
        return result;
      });
  check("cnot.b32 %d, %a;", +[](uint32_t a) { return uint32_t(a == 0); });
  check("popc.b64 %d, %a;", +[](uint64_t a) { return uint32_t(std::popcount(a)); });
}

uint32_t permuted(uint32_t a, uint32_t b, const std::function<uint32_t(uint32_t)> &source) {
  uint64_t both = uint64_t{b} << 32 | a;
  uint32_t result = 0;
  for (uint32_t byte = 0; byte < 4; ++byte)
    result |= uint32_t(both >> 8 * source(byte) & 0xff) << 8 * byte;
  return result;
}

TEST_F(Instructions, Permutations) {
  using Ternary = std::function<uint32_t(uint32_t, uint32_t, uint32_t)>;
  check("prmt.b32 %d, %a, %b, %c;", Ternary([](uint32_t a, uint32_t b, uint32_t c) {
          uint64_t both = uint64_t{b} << 32 | a;
          uint32_t result = 0;
          for (int byte = 0; byte < 4; ++byte) {
            uint32_t choice = c >> 4 * byte & 15, chosen = both >> 8 * (choice & 7) & 0xff;
            if (choice & 8)
              chosen = chosen & 0x80 ? 0xff : 0;
            result |= chosen << 8 * byte;
          }
          return result;
        }));
  check("prmt.b32.f4e %d, %a, %b, %c;", Ternary([](uint32_t a, uint32_t b, uint32_t c) {
          return permuted(a, b, [=](uint32_t byte) { return (c & 3) + byte; });
        }));
  check("prmt.b32.b4e %d, %a, %b, %c;", Ternary([](uint32_t a, uint32_t b, uint32_t c) {
          return permuted(a, b, [=](uint32_t byte) { return ((c & 3) - byte) & 7; });
        }));
  check("prmt.b32.rc16 %d, %a, %b, %c;", Ternary([](uint32_t a, uint32_t b, uint32_t c) {
          return permuted(a, b, [=](uint32_t byte) { return 2 * (c & 1) + (byte & 1); });
        }));
}

TEST_F(Instructions, Comparisons) {
  check("setp.ge.u32 %q2, %i, 16; setp.lt.and.s32 %q0|%q1, %a, %b, !%q2;"
        "selp.u32 %d, 1, 2, %q0; @%q1 add.u32 %d, %d, 10; @%q2 mov.u32 %d, 7;",
        std::function<uint32_t(uint32_t, uint32_t)>([lane = 0](uint32_t a, uint32_t b) mutable {
          return lane++ >= 16 ? 7u : int32_t(a) < int32_t(b) ? 1u : 12u;
        }));
  check(
      "setp.ltu.f32 %q0, %a, %b; selp.u32 %d, 1, 0, %q0;",
      +[](float a, float b) { return uint32_t(!(a >= b)); });
  check(
      "setp.ne.f32 %q0, %a, %b; selp.u32 %d, 1, 0, %q0;",
      +[](float a, float b) { return uint32_t(a < b || a > b); });
  check(
      "setp.neu.f64 %q0, %a, %b; selp.u32 %d, 1, 0, %q0;",
      +[](double a, double b) { return uint32_t(a != b); });
  check(
      "setp.nan.f32 %q0, %a, %b; selp.u32 %d, 1, 0, %q0;",
      +[](float a, float b) { return uint32_t(a != a || b != b); });
  check(
      "setp.hi.u64 %q0|%q1, %a, %b; selp.u32 %d, 7, 9, %q1;",
      +[](uint64_t a, uint64_t b) { return a > b ? 9u : 7u; });
  check(
      "setp.gt.s16 %q0, %a, %b; setp.eq.xor.u16 %q1, %a, %b, !%q0; selp.u32 %d, 1, 0, %q1;",
      +[](uint16_t a, uint16_t b) { return uint32_t((a == b) != !(int16_t(a) > int16_t(b))); });
  check(
      "set.le.f32.s32 %d, %a, %b;",
      +[](uint32_t a, uint32_t b) { return int32_t(a) <= int32_t(b) ? 1.0f : 0.0f; });
  check("set.geu.u32.f32 %d, %a, %b;", +[](float a, float b) { return a < b ? 0u : ~0u; });
  check(
      "slct.u32.f32 %d, %a, %b, %c;",
      +[](uint32_t a, uint32_t b, float c) { return c >= 0 ? a : b; });
  check(
      "slct.b64.s32 %d, %a, %b, %c;",
      +[](uint64_t a, uint64_t b, uint32_t c) { return int32_t(c) >= 0 ? a : b; });
  check(
      "testp.subnormal.f32 %q0, %a; selp.u32 %d, 1, 0, %q0;",
      +[](float a) { return uint32_t(std::fpclassify(a) == FP_SUBNORMAL); });
}

TEST_F(Instructions, MovesOfParts) {
  check(
      "mov.b64 {%t0, %t1}, %a; mov.b64 %d, {%t1, %t0};",
      +[](uint64_t a) { return a >> 32 | a << 32; });
  check(
      "mov.b32 {%h0, %h1}, %a; mov.b32 %d, {%h1, %h0};",
      +[](uint32_t a) { return a >> 16 | a << 16; });
  check(
      "mov.b64 {%h0, %h1, %h2, %h3}, %a; mov.b64 %d, {%h3, %h2, %h1, %h0};", +[](uint64_t a) {
        return (a & 0xffff) << 48 | (a >> 16 & 0xffff) << 32 | (a >> 32 & 0xffff) << 16 | a >> 48;
      });
  check(
      ".reg .b128 %x; mov.b128 %x, {%a, %b}; mov.b128 {%w0, %w1}, %x; sub.u64 %d, %w1, %w0;",
      +[](uint64_t a, uint64_t b) { return b - a; });
}

} // namespace
