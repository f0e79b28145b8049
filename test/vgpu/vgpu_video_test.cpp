// Video instructions: on words with parts of the operands, and on all halves or bytes.
#include "Instructions.h"

#include <algorithm>

namespace {

using Ternary = std::function<uint32_t(uint32_t, uint32_t, uint32_t)>;

int64_t clamp(int64_t value, int64_t least, int64_t most) {
  return std::min(std::max(value, least), most);
}

TEST_F(Instructions, VideoOfWords) {
  check(
      "vadd.s32.u32.s32.sat %d, %a, %b;", +[](uint32_t a, uint32_t b) {
        return uint32_t(clamp(int64_t{a} + int32_t(b), INT32_MIN, INT32_MAX));
      });
  check(
      "vsub.u32.s32.s32.sat %d, %a, %b;", +[](uint32_t a, uint32_t b) {
        return uint32_t(clamp(int64_t{int32_t(a)} - int32_t(b), 0, UINT32_MAX));
      });
  check(
      "vabsdiff.u32.s32.s32 %d, %a, %b;",
      +[](uint32_t a, uint32_t b) { return int32_t(a) > int32_t(b) ? a - b : b - a; });
  check("vabsdiff.u32.u32.u32.add %d, %a, %b, %c;",
        Ternary([](uint32_t a, uint32_t b, uint32_t c) { return (a > b ? a - b : b - a) + c; }));
  check("vmin.s32.s32.u32.sat.max %d, %a, %b, %c;", Ternary([](uint32_t a, uint32_t b, uint32_t c) {
          auto least =
              int32_t(clamp(std::min(int64_t{int32_t(a)}, int64_t{b}), INT32_MIN, INT32_MAX));
          return uint32_t(std::max(least, int32_t(c)));
        }));
  check("vmax.u32.u32.u32.min %d, %a, %b, %c;",
        Ternary([](uint32_t a, uint32_t b, uint32_t c) { return std::min(std::max(a, b), c); }));
}

TEST_F(Instructions, VideoOfParts) {
  check(
      "vadd.s32.s32.u32 %d, %a.b3, %b.h1;",
      +[](uint32_t a, uint32_t b) { return uint32_t(int8_t(a >> 24)) + (b >> 16); });
  check(
      "vsub.s32.u32.s32 %d, %a.h0, %b.b1;",
      +[](uint32_t a, uint32_t b) { return (a & 0xffff) - uint32_t(int8_t(b >> 8)); });
  check("vadd.s32.s32.s32.sat %d.b2, %a.h1, %b, %c;",
        Ternary([](uint32_t a, uint32_t b, uint32_t c) {
          int64_t sum = clamp(int64_t{int16_t(a >> 16)} + int32_t(b), -128, 127);
          return (c & 0xff00ffff) | uint32_t(sum & 0xff) << 16;
        }));
  check("vabsdiff.u32.u32.u32 %d.h1, %a.b0, %b.b2, %c;",
        Ternary([](uint32_t a, uint32_t b, uint32_t c) {
          int difference = int(a & 0xff) - int(b >> 16 & 0xff);
          return (c & 0xffff) | uint32_t(std::abs(difference)) << 16;
        }));
}

TEST_F(Instructions, VideoShifts) {
  check(
      "vshl.u32.u32.u32.clamp %d, %a, %b;",
      +[](uint32_t a, uint32_t b) { return b > 31 ? 0 : a << b; });
  check(
      "vshl.u32.u32.u32.sat.wrap %d, %a.h0, %b.b1;", +[](uint32_t a, uint32_t b) {
        return uint32_t(std::min(uint64_t{a & 0xffff} << (b >> 8 & 31), uint64_t{UINT32_MAX}));
      });
  check("vshr.s32.s32.u32.wrap.add %d, %a, %b, %c;",
        Ternary([](uint32_t a, uint32_t b, uint32_t c) {
          return uint32_t(int32_t(a) >> (b & 31)) + c;
        }));
}

TEST_F(Instructions, VideoProducts) {
  check("vmad.s32.s32.u32 %d, %a.h0, %b.b3, %c;", Ternary([](uint32_t a, uint32_t b, uint32_t c) {
          return uint32_t(int32_t(int16_t(a)) * int32_t(b >> 24)) + c;
        }));
  check("vmad.u32.u32.u32.sat.shr15 %d, %a, %b, %c;",
        Ternary([](uint32_t a, uint32_t b, uint32_t c) {
          unsigned __int128 sum = static_cast<unsigned __int128>(a) * b + c;
          return uint32_t(std::min<unsigned __int128>(sum >> 15, UINT32_MAX));
        }));
  check("vmad.s32.s32.s32.po.sat.shr7 %d, %a.h1, %b.h0, %c;",
        Ternary([](uint32_t a, uint32_t b, uint32_t c) {
          int64_t sum = int64_t{int16_t(a >> 16)} * int16_t(b) + int32_t(c) + 1;
          return uint32_t(clamp(sum >> 7, INT32_MIN, INT32_MAX));
        }));
  check("vmad.u32.u32.u32.sat %d, -%a.h1, %b.h0, %c;",
        Ternary([](uint32_t a, uint32_t b, uint32_t c) {
          int64_t sum = int32_t(c) - int64_t{a >> 16} * (b & 0xffff);
          return uint32_t(clamp(sum, INT32_MIN, INT32_MAX));
        }));
  check("vmad.s32.s32.s32 %d, %a, %b, -%c;",
        Ternary([](uint32_t a, uint32_t b, uint32_t c) { return a * b - c; }));
}

TEST_F(Instructions, VideoComparisons) {
  check(
      "vset.s32.u32.lt %d, %a, %b;",
      +[](uint32_t a, uint32_t b) { return uint32_t(int64_t{int32_t(a)} < int64_t{b}); });
  check("vset.u32.u32.ge.add %d, %a.b0, %b.b0, %c;",
        Ternary([](uint32_t a, uint32_t b, uint32_t c) {
          return c + uint32_t((a & 0xff) >= (b & 0xff));
        }));
  check("vset4.u32.u32.ne %d, %a, %b, %c;", Ternary([](uint32_t a, uint32_t b, uint32_t) {
          uint32_t result = 0;
          for (int byte = 0; byte < 32; byte += 8)
            result |= uint32_t((a >> byte & 0xff) != (b >> byte & 0xff)) << byte;
          return result;
        }));
  check("vset2.s32.s32.le.add %d, %a, %b, %c;", Ternary([](uint32_t a, uint32_t b, uint32_t c) {
          return c + uint32_t(int16_t(a) <= int16_t(b)) +
                 uint32_t(int16_t(a >> 16) <= int16_t(b >> 16));
        }));
}

/// The byte of a word.
int byteOf(uint32_t word, int byte, bool isSigned) {
  return isSigned ? int8_t(word >> 8 * byte) : int(word >> 8 * byte & 0xff);
}

TEST_F(Instructions, VideoOfAllBytes) {
  check("vadd4.u32.u32.u32.sat %d, %a, %b, %c;", Ternary([](uint32_t a, uint32_t b, uint32_t) {
          uint32_t result = 0;
          for (int byte = 0; byte < 4; ++byte)
            result |= uint32_t(std::min(byteOf(a, byte, false) + byteOf(b, byte, false), 255))
                      << 8 * byte;
          return result;
        }));
  check("vabsdiff4.u32.s32.s32.add %d, %a, %b, %c;",
        Ternary([](uint32_t a, uint32_t b, uint32_t c) {
          for (int byte = 0; byte < 4; ++byte)
            c += uint32_t(std::abs(byteOf(a, byte, true) - byteOf(b, byte, true)));
          return c;
        }));
  check("vavrg4.s32.s32.s32 %d, %a, %b, %c;", Ternary([](uint32_t a, uint32_t b, uint32_t) {
          uint32_t result = 0;
          for (int byte = 0; byte < 4; ++byte) {
            double half = (byteOf(a, byte, true) + byteOf(b, byte, true)) / 2.0;
            result |= (uint32_t(int(std::round(half))) & 0xff) << 8 * byte;
          }
          return result;
        }));
  check("vsub4.s32.u32.u32.sat %d.b30, %a.b7610, %b.b0123, %c;",
        Ternary([](uint32_t a, uint32_t b, uint32_t c) {
          auto of = [=](int byte) { return byteOf(byte < 4 ? a : b, byte % 4, false); };
          auto low = uint32_t(clamp(of(0) - of(3), -128, 127));
          auto high = uint32_t(clamp(of(7) - of(0), -128, 127));
          return (c & 0x00ffff00) | (low & 0xff) | (high & 0xff) << 24;
        }));
}

TEST_F(Instructions, VideoOfBothHalves) {
  check("vadd2.s32.s32.s32 %d, %a, %b, %c;", Ternary([](uint32_t a, uint32_t b, uint32_t) {
          return ((a + b) & 0xffff) | ((a >> 16) + (b >> 16)) << 16;
        }));
  check("vsub2.s32.s32.s32.add %d.h1, %a, %b, %c;", Ternary([](uint32_t a, uint32_t b, uint32_t c) {
          return c + uint32_t(int16_t(a >> 16) - int16_t(b >> 16));
        }));
  check("vmin2.s32.s32.s32 %d, %a.h23, %b.h01, %c;", Ternary([](uint32_t a, uint32_t b, uint32_t) {
          // The low results are of b's high half and a's high half.
          uint32_t low = uint32_t(std::min(int16_t(b >> 16), int16_t(a >> 16))) & 0xffff;
          uint32_t high = uint32_t(std::min(int16_t(b), int16_t(a))) & 0xffff;
          return low | high << 16;
        }));
  check("vmax2.u32.u32.u32 %d.h0, %a, %b, %c;", Ternary([](uint32_t a, uint32_t b, uint32_t c) {
          return (c & 0xffff0000) | std::max(a & 0xffff, b & 0xffff);
        }));
}

TEST_F(Instructions, PartsAreForVideo) {
  for (const char *body :
       {"add.u32 %r0, %r1.b0, %r2;", "add.u32 %r0, -%r1, %r2;",
        "vadd.u32.u32.u32 %r0, %r1.b4, %r2;", "vadd.u32.u32.u32 %r0.h1, %r1, %r2;",
        "vadd4.u32.u32.u32 %r0, %r1.b89ab, %r2, %r3;"}) {
    CUmodule module = loadText(".version 8.3\n.target sm_90a\n.address_size 64\n"
                               ".visible .entry f() {\n.reg .b32 %r<4>;\n" +
                               std::string(body) + "\nret;\n}\n");
    CUfunction function;
    EXPECT_EQ(cuModuleGetFunction(&function, module, "f"), CUDA_ERROR_INVALID_PTX) << body;
  }
}

} // namespace
