// Single instructions, with all their modifiers, against a formula of PTX's
// definition: 256 lanes of edge cases and random values each.
#include "Gpu.h"

#include <algorithm>
#include <bit>
#include <cfenv>
#include <cmath>
#include <functional>
#include <limits>
#include <random>

namespace {

constexpr int kLanes = 256;

template <class T>
using Bits = std::conditional_t<sizeof(T) == 8, uint64_t,
                                std::conditional_t<sizeof(T) == 4, uint32_t, uint16_t>>;

template <class T> bool isNan(T value) {
  if constexpr (std::is_floating_point_v<T>)
    return std::isnan(value);
  return false;
}

template <class T> std::string width() { return std::to_string(8 * sizeof(T)); }

class Instructions : public GpuTest {
protected:
  /// Runs `body`, which reads %a, %b and %c and writes %d, for random values of
  /// the function's parameters, and compares with what the function gives.
  template <class D, class... S>
  void check(const std::string &body, const std::function<D(S...)> &expected) {
    SCOPED_TRACE(body);
    const char *names[] = {"a", "b", "c"};
    std::string ptx = ".version 8.3\n.target sm_90a\n.address_size 64\n.visible .entry test("
                      ".param .u64 out, .param .u64 a, .param .u64 b, .param .u64 c) {\n"
                      ".reg .b32 %i;\n.reg .b64 %o, %p;\n.reg .pred %q<4>;\n.reg .b32 %t<4>;\n"
                      ".reg .b64 %w<4>;\n.reg .b16 %h<4>;\nmov.u32 %i, %tid.x;\n";
    size_t number = 0;
    auto load = [&](const char *name, const std::string &bits, size_t bytes) {
      ptx += ".reg .b" + bits + " %" + name + ";\nld.param.u64 %p, [" + name +
             "];\nmul.wide.u32 %o, %i, " + std::to_string(bytes) +
             ";\nadd.u64 %p, %p, %o;\nld.global.b" + bits + " %" + name + ", [%p];\n";
    };
    (load(names[number++], width<S>(), sizeof(S)), ...);
    ptx += ".reg .b" + width<D>() + " %d;\n" + body + "\nld.param.u64 %p, [out];\n" +
           "mul.wide.u32 %o, %i, " + std::to_string(sizeof(D)) +
           ";\nadd.u64 %p, %p, %o;\nst.global.b" + width<D>() + " [%p], %d;\nret;\n}\n";
    CUfunction function = kernel(loadText(ptx), "test");
    std::tuple<std::vector<S>...> inputs{values<S>()...};
    Buffer<D> out(kLanes);
    std::vector<CUdeviceptr> addresses;
    std::apply(
        [&](auto &...vectors) {
          auto upload = [&](auto &vector) {
            CUdeviceptr address;
            size_t bytes = vector.size() * sizeof vector[0];
            EXPECT_EQ(cuMemAlloc_v2(&address, bytes), CUDA_SUCCESS);
            EXPECT_EQ(cuMemcpyHtoD_v2(address, vector.data(), bytes), CUDA_SUCCESS);
            addresses.push_back(address);
          };
          (upload(vectors), ...);
        },
        inputs);
    addresses.resize(3);
    GPU_CHECK(
        launch(function, {1}, {kLanes}, 0, out.address, addresses[0], addresses[1], addresses[2]));
    std::vector<D> results = out.get();
    for (int lane = 0; lane < kLanes; ++lane)
      std::apply(
          [&](auto &...vectors) {
            D wanted = expected(vectors[lane]...);
            bool bothNan = isNan(wanted) && isNan(results[lane]);
            bool isSame = std::bit_cast<Bits<D>>(results[lane]) == std::bit_cast<Bits<D>>(wanted);
            EXPECT_TRUE(isSame || bothNan)
                << "lane " << lane << ": " << results[lane] << ", wanted " << wanted << " of "
                << testing::PrintToString(std::tuple(vectors[lane]...));
          },
          inputs);
    for (CUdeviceptr address : addresses)
      cuMemFree_v2(address);
  }

  template <class D, class... S> void check(const std::string &body, D (*expected)(S...)) {
    check(body, std::function<D(S...)>(expected));
  }

private:
  template <class T> std::vector<T> values() {
    std::vector<T> result(kLanes);
    for (T &value : result)
      value = one<T>();
    return result;
  }

  template <class T> T one() {
    if constexpr (std::is_floating_point_v<T>) {
      const T special[] = {0,
                           -T(0),
                           1,
                           -1,
                           T(0.5),
                           T(1.5),
                           T(2.5),
                           INFINITY,
                           -INFINITY,
                           NAN,
                           std::numeric_limits<T>::max(),
                           std::numeric_limits<T>::denorm_min(),
                           std::numeric_limits<T>::min() / 4,
                           T(1e9),
                           T(-3.75),
                           T(255.5)};
      if (random() % 3 == 0)
        return special[random() % std::size(special)];
      T mantissa = T(static_cast<int32_t>(random())) / T(1 << 30);
      return std::ldexp(mantissa, int(random() % 40) - 20);
    } else {
      const uint64_t special[] = {
          0,      1,      ~0ull, 1ull << 63, ~0ull >> 1, 0x80000000, 0x7fffffff, 0xffffffff,
          0x8000, 0x7fff, 31,    32,         33,         63,         64,         5};
      if (random() % 3 == 0)
        return static_cast<T>(special[random() % std::size(special)]);
      return static_cast<T>((uint64_t{random()} << 32 | random()) >> random() % 64);
    }
  }

  std::mt19937 random{11};
};

float withRounding(int mode, const std::function<float()> &compute) {
  std::fesetround(mode);
  volatile float result = compute();
  std::fesetround(FE_TONEAREST);
  return result;
}

float flushed(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x; }
float saturated(float x) { return x > 0 ? std::min(x, 1.0f) : 0.0f; }

TEST_F(Instructions, RoundingModes) {
  for (auto [name, mode] : {std::pair("rz", FE_TOWARDZERO), std::pair("rm", FE_DOWNWARD),
                            std::pair("rp", FE_UPWARD), std::pair("rn", FE_TONEAREST)}) {
    std::string suffix = std::string(".") + name + ".f32 %d, %a, %b";
    using Binary = std::function<float(float, float)>;
    check("add" + suffix + ";", Binary([mode = mode](float a, float b) {
            volatile float x = a, y = b;
            return withRounding(mode, [&] { return x + y; });
          }));
    check("mul" + suffix + ";", Binary([mode = mode](float a, float b) {
            volatile float x = a, y = b;
            return withRounding(mode, [&] { return x * y; });
          }));
    check("div" + suffix + ";", Binary([mode = mode](float a, float b) {
            volatile float x = a, y = b;
            return withRounding(mode, [&] { return x / y; });
          }));
    check("fma" + suffix + ", %c;",
          std::function<float(float, float, float)>([mode = mode](float a, float b, float c) {
            volatile float x = a, y = b, z = c;
            return withRounding(mode, [&] { return std::fma(float(x), float(y), float(z)); });
          }));
    check(std::string("sqrt.") + name + ".f32 %d, %a;",
          std::function<float(float)>([mode = mode](float a) {
            volatile float x = a;
            return withRounding(mode, [&] { return std::sqrt(float(x)); });
          }));
  }
}

TEST_F(Instructions, FloatModifiers) {
  check(
      "add.ftz.f32 %d, %a, %b;",
      +[](float a, float b) { return flushed(flushed(a) + flushed(b)); });
  check(
      "mul.ftz.sat.f32 %d, %a, %b;",
      +[](float a, float b) { return saturated(flushed(flushed(a) * flushed(b))); });
  check(
      "fma.rn.sat.f32 %d, %a, %b, %c;",
      +[](float a, float b, float c) { return saturated(std::fma(a, b, c)); });
  check("sub.f64 %d, %a, %b;", +[](double a, double b) { return a - b; });
  check("neg.f32 %d, %a;", +[](float a) { return -a; });
  check("abs.f64 %d, %a;", +[](double a) { return std::fabs(a); });
  check("copysign.f32 %d, %a, %b;", +[](float a, float b) { return std::copysign(b, a); });
  check("rcp.rn.f64 %d, %a;", +[](double a) { return 1 / a; });
}

template <bool isMaximum> float extreme(float a, float b) {
  if (a != a || b != b)
    return a != a ? b : a;
  if (a == b)
    return std::signbit(a) == isMaximum ? b : a;
  return (a < b) == isMaximum ? b : a;
}

TEST_F(Instructions, MinimumAndMaximum) {
  check("min.f32 %d, %a, %b;", +[](float a, float b) { return extreme<false>(a, b); });
  check("max.f32 %d, %a, %b;", +[](float a, float b) { return extreme<true>(a, b); });
  check(
      "max.NaN.f32 %d, %a, %b;", +[](float a, float b) {
        return a != a || b != b ? std::numeric_limits<float>::quiet_NaN() : extreme<true>(a, b);
      });
  check(
      "min.xorsign.abs.f32 %d, %a, %b;", +[](float a, float b) {
        float size = extreme<false>(std::fabs(a), std::fabs(b));
        return std::copysign(size, std::signbit(a) != std::signbit(b) ? -1.0f : 1.0f);
      });
  check(
      "min.s32 %d, %a, %b;",
      +[](uint32_t a, uint32_t b) { return uint32_t(std::min(int32_t(a), int32_t(b))); });
  check("max.u64 %d, %a, %b;", +[](uint64_t a, uint64_t b) { return std::max(a, b); });
  check(
      "min.s16 %d, %a, %b;",
      +[](uint16_t a, uint16_t b) { return uint16_t(std::min(int16_t(a), int16_t(b))); });
}

TEST_F(Instructions, Approximations) {
  auto near = [](double wanted) { return static_cast<float>(wanted); };
  check("ex2.approx.ftz.f32 %d, %a;",
        std::function<float(float)>([=](float a) { return flushed(near(std::exp2(flushed(a)))); }));
  check("rcp.approx.f32 %d, %a;",
        std::function<float(float)>([=](float a) { return near(1 / double(a)); }));
  check("rsqrt.approx.f32 %d, %a;",
        std::function<float(float)>([=](float a) { return near(1 / std::sqrt(double(a))); }));
  check("div.full.f32 %d, %a, %b;", +[](float a, float b) { return a / b; });
}

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

template <class T> T clamped(double value) {
  if (value != value)
    return 0;
  double least = double(std::numeric_limits<T>::min()),
         most = double(std::numeric_limits<T>::max());
  if (value <= least)
    return std::numeric_limits<T>::min();
  return value >= most ? std::numeric_limits<T>::max() : T(value);
}

TEST_F(Instructions, ConversionsToIntegers) {
  check(
      "cvt.rni.s32.f32 %d, %a;",
      +[](float a) { return uint32_t(clamped<int32_t>(std::nearbyint(double(a)))); });
  check(
      "cvt.rmi.s64.f64 %d, %a;",
      +[](double a) { return uint64_t(clamped<int64_t>(std::floor(a))); });
  check(
      "cvt.rpi.u32.f32 %d, %a;", +[](float a) { return clamped<uint32_t>(std::ceil(double(a))); });
  check(
      "cvt.rzi.u16.f32 %d, %a;", +[](float a) { return clamped<uint16_t>(std::trunc(double(a))); });
  check(
      "cvt.rzi.s8.f32 %t0, %a; mov.b32 %d, %t0;",
      +[](float a) { return uint32_t(int32_t(clamped<int8_t>(std::trunc(double(a))))); });
  check(
      "cvt.sat.s8.s32 %t0, %a; mov.b32 %d, %t0;",
      +[](uint32_t a) { return uint32_t(std::clamp(int32_t(a), -128, 127)); });
  check(
      "cvt.sat.u16.s64 %d, %a;",
      +[](uint64_t a) { return uint16_t(std::clamp<int64_t>(int64_t(a), 0, 0xffff)); });
  check("cvt.s64.s16 %d, %a;", +[](uint16_t a) { return uint64_t(int64_t{int16_t(a)}); });
  check("cvt.u32.u8 %d, %a;", +[](uint16_t a) { return uint32_t(a & 0xff); });
  check(
      "cvt.pack.sat.u8.s32.b32 %d, %a, %b, %c;", +[](uint32_t a, uint32_t b, uint32_t c) {
        uint32_t high = std::clamp(int32_t(a), 0, 255), low = std::clamp(int32_t(b), 0, 255);
        return c << 16 | high << 8 | low;
      });
}

TEST_F(Instructions, ConversionsToFloats) {
  check("cvt.rn.f32.u64 %d, %a;", +[](uint64_t a) { return float(a); });
  check("cvt.rn.f64.s64 %d, %a;", +[](uint64_t a) { return double(int64_t(a)); });
  check("cvt.rn.f64.u32 %d, %a;", +[](uint32_t a) { return double(a); });
  check(
      "cvt.rz.f32.s32 %d, %a;", +[](uint32_t a) {
        auto exact = double(int32_t(a));
        auto result = float(exact);
        return std::fabs(double(result)) > std::fabs(exact) ? std::nextafter(result, 0.0f) : result;
      });
  check(
      "cvt.rp.f32.f64 %d, %a;", +[](double a) {
        auto result = float(a);
        return double(result) < a ? std::nextafter(result, INFINITY) : result;
      });
  check("cvt.sat.f32.f32 %d, %a;", saturated);
  check("cvt.rmi.f64.f64 %d, %a;", +[](double a) { return std::floor(a); });
  check(
      "cvt.rn.bf16.f32 %h0, %a; cvt.u32.u16 %d, %h0;", +[](float a) {
        uint32_t bits = std::bit_cast<uint32_t>(a);
        return a != a ? 0x7fffu : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
      });
  check(
      "cvt.rz.bf16.f32 %h0, %a; cvt.u32.u16 %d, %h0;",
      +[](float a) { return a != a ? 0x7fffu : std::bit_cast<uint32_t>(a) >> 16; });
  check(
      "cvt.rn.f16x2.f32 %d, %a, %b;", +[](float a, float b) {
        auto half = [](float x) {
          return x != x ? uint32_t{0x7fff} : std::bit_cast<uint16_t>(static_cast<_Float16>(x));
        };
        return half(a) << 16 | half(b);
      });
  check(
      "cvt.rna.tf32.f32 %d, %a;", +[](float a) {
        uint32_t bits = std::bit_cast<uint32_t>(a);
        if (a != a)
          return 0x7fffe000u;
        return std::isinf(a) ? bits : (bits + 0x1000) & ~0x1fffu;
      });
}

/// The nearest value of a small format, by trying all of its bit patterns.
uint32_t nearestOf(double value, int exponentBits, int mantissaBits, uint32_t largest) {
  if (value != value)
    return 0x7f;
  int bias = (1 << (exponentBits - 1)) - 1;
  uint32_t best = 0;
  double bestDistance = INFINITY;
  for (uint32_t bits = 0; bits <= largest; ++bits) {
    int exponent = int(bits >> mantissaBits);
    double mantissa = bits & ((1u << mantissaBits) - 1);
    double size = exponent ? std::ldexp(mantissa + (1 << mantissaBits), exponent - 1)
                           : std::ldexp(mantissa, 0);
    size = std::ldexp(size, 1 - bias - mantissaBits);
    double distance = std::fabs(std::min(std::fabs(value), 1e6) - size);
    if (distance < bestDistance || (distance == bestDistance && bits % 2 == 0)) {
      best = bits;
      bestDistance = distance;
    }
  }
  return best | (std::signbit(value) ? 0x80 : 0);
}

TEST_F(Instructions, Minifloats) {
  check(
      "cvt.rn.satfinite.e4m3x2.f32 %h0, %a, %b; cvt.u32.u16 %d, %h0;",
      +[](float a, float b) { return nearestOf(a, 4, 3, 0x7e) << 8 | nearestOf(b, 4, 3, 0x7e); });
  check(
      "cvt.rn.satfinite.e5m2x2.f32 %h0, %a, %b; cvt.u32.u16 %d, %h0;",
      +[](float a, float b) { return nearestOf(a, 5, 2, 0x7b) << 8 | nearestOf(b, 5, 2, 0x7b); });
  check(
      "cvt.rn.f16x2.e5m2x2 %t0, %a; mov.b32 %d, %t0;", +[](uint16_t a) {
        auto half = [](uint32_t bits) { return (bits & 0x7f) > 0x7c ? 0x7fffu : bits << 8; };
        return half(a >> 8) << 16 | half(a & 0xff);
      });
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
