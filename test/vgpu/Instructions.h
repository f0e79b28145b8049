#pragma once
// Single instructions, with all their modifiers, against a formula of PTX's
// definition: 256 lanes of edge cases and random values each.

#include "Gpu.h"

#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <random>

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

inline float saturated(float x) { return x > 0 ? std::min(x, 1.0f) : 0.0f; }
