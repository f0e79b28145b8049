// Instructions compute what the host computes for the same expression.
#include "Gpu.h"

#include <bit>
#include <cmath>
#include <random>

namespace {

class Arithmetic : public GpuTest {
protected:
  std::mt19937 random{7};
};

using Half = _Float16;

uint16_t bitsOf(Half value) { return std::bit_cast<uint16_t>(value); }
Half half(uint16_t bits) { return std::bit_cast<Half>(bits); }
float bfloat(uint16_t bits) { return std::bit_cast<float>(uint32_t{bits} << 16); }
uint16_t toBfloat(float value) {
  auto bits = std::bit_cast<uint32_t>(value);
  return (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
}

// Finite halves of all magnitudes, denormals too.
std::vector<uint16_t> someHalves(std::mt19937 &random, size_t count) {
  std::vector<uint16_t> values(count);
  for (uint16_t &value : values)
    do
      value = static_cast<uint16_t>(random());
    while ((value & 0x7c00) == 0x7c00);
  return values;
}

bool isSameHalf(uint16_t a, uint16_t b) {
  bool bothNan = (a & 0x7fff) > 0x7c00 && (b & 0x7fff) > 0x7c00;
  return a == b || bothNan;
}

TEST_F(Arithmetic, HalfIsRoundedOnce) {
  int n = 512;
  std::vector<uint16_t> a = someHalves(random, n), b = someHalves(random, n);
  Buffer<uint16_t> da(a), db(b), dout(n);
  GPU_CHECK(launch(kernel(load("half"), "half_arithmetic"), {1}, {512}, 0, da.address, db.address,
                   dout.address, n));
  std::vector<uint16_t> out = dout.get();
  for (int i = 0; i < n; ++i) {
    Half sum = static_cast<Half>(static_cast<float>(half(a[i])) + static_cast<float>(half(b[i])));
    // The exact product and sum fit into 113 bits.
    auto exact =
        static_cast<__float128>(static_cast<float>(half(a[i]))) * static_cast<float>(half(b[i])) +
        static_cast<float>(sum);
    EXPECT_TRUE(isSameHalf(out[i], bitsOf(static_cast<Half>(exact))) ||
                std::isinf(static_cast<float>(sum)))
        << i;
  }
}

TEST_F(Arithmetic, PackedHalves) {
  int n = 64;
  std::vector<uint16_t> a = someHalves(random, 2 * n), b = someHalves(random, 2 * n);
  Buffer<uint16_t> da(a), db(b), dout(2 * n);
  GPU_CHECK(launch(kernel(load("half"), "half2_arithmetic"), {1}, {64}, 0, da.address, db.address,
                   dout.address, n));
  std::vector<uint16_t> out = dout.get();
  for (int i = 0; i < 2 * n; ++i) {
    float x = half(a[i]), y = half(b[i]);
    Half product = static_cast<Half>(x * y), difference = static_cast<Half>(x - y);
    EXPECT_TRUE(isSameHalf(out[i], bitsOf(product > difference ? product : difference))) << i;
  }
}

TEST_F(Arithmetic, Bfloat) {
  int n = 128;
  std::vector<uint16_t> a(n), b(n);
  for (int i = 0; i < n; ++i) {
    a[i] = toBfloat(std::ldexp(float(random() % 1000) - 500, int(random() % 20) - 10));
    b[i] = toBfloat(std::ldexp(float(random() % 1000) - 500, int(random() % 20) - 10));
  }
  Buffer<uint16_t> da(a), db(b), dout(n);
  GPU_CHECK(launch(kernel(load("half"), "bfloat_arithmetic"), {1}, {128}, 0, da.address, db.address,
                   dout.address, n));
  std::vector<uint16_t> out = dout.get();
  for (int i = 0; i < n; ++i) {
    float product = bfloat(toBfloat(bfloat(a[i]) * bfloat(b[i])));
    EXPECT_EQ(out[i], toBfloat(std::fma(bfloat(a[i]), 3.0f, product))) << i;
  }
}

// Every step of the polynomial is exact in f32 before it is rounded.
TEST_F(Arithmetic, PairsOfBfloats) {
  int n = 300;
  float limit = 3.5f;
  std::vector<uint16_t> in(2 * n);
  for (uint16_t &value : in)
    value = toBfloat((float(random() % 129) - 64) / 16);
  Buffer<uint16_t> din(in), dout(2 * n);
  GPU_CHECK(launch(kernel(load("bfloat"), "bfloat_polynomial"), {3}, {128}, 0, din.address,
                   dout.address, limit, n));
  std::vector<uint16_t> out = dout.get();
  for (int i = 0; i < 2 * n; ++i) {
    float x = std::fmin(std::fmax(bfloat(in[i]), -limit), limit);
    float sum = bfloat(toBfloat(x * 0.375f - 1.25f));
    EXPECT_EQ(bfloat(out[i]), std::fmax(bfloat(toBfloat(sum * x + 0.8125f)), 0.0f)) << i;
  }
}

TEST_F(Arithmetic, SoftmaxOfBfloats) {
  constexpr int kRows = 8, kWidth = 64;
  std::vector<uint16_t> in(kRows * kWidth);
  std::normal_distribution<float> normal(0, 2);
  for (uint16_t &value : in)
    value = toBfloat(normal(random));
  Buffer<uint16_t> din(in), dout(kRows * kWidth);
  GPU_CHECK(
      launch(kernel(load("bfloat"), "bfloat_softmax"), {2}, {128}, 0, din.address, dout.address));
  std::vector<uint16_t> out = dout.get();
  for (int row = 0; row < kRows; ++row) {
    const uint16_t *x = &in[row * kWidth];
    float largest = bfloat(x[0]);
    for (int i = 0; i < kWidth; ++i)
      largest = std::fmax(largest, bfloat(x[i]));
    auto power = [&](int i) { return std::exp(double(bfloat(toBfloat(bfloat(x[i]) - largest)))); };
    double sum = 0;
    for (int i = 0; i < kWidth; ++i)
      sum += power(i);
    for (int i = 0; i < kWidth; ++i) {
      double expected = power(i) / sum;
      // Half a unit of the last of 8 digits, and what approximations add.
      EXPECT_NEAR(bfloat(out[row * kWidth + i]), expected, expected * (1.0 / 256 + 1e-5)) << i;
    }
  }
}

std::vector<double> someDoubles(std::mt19937 &random, size_t count) {
  std::vector<double> values(count);
  std::normal_distribution<double> normal(0, 3);
  for (double &value : values)
    value = normal(random);
  return values;
}

TEST_F(Arithmetic, Double) {
  int n = 256;
  std::vector<double> a = someDoubles(random, n), b = someDoubles(random, n);
  Buffer<double> da(a), db(b), dout(n);
  GPU_CHECK(launch(kernel(load("double"), "double_arithmetic"), {1}, {256}, 0, da.address,
                   db.address, dout.address, n));
  std::vector<double> out = dout.get();
  for (int i = 0; i < n; ++i) {
    double quotient = std::fma(a[i], b[i], std::sqrt(std::fabs(a[i]))) / std::fma(b[i], b[i], 1.0);
    EXPECT_EQ(out[i], quotient + std::fmin(a[i], b[i])) << i;
  }
}

// The toolkit's functions are long sequences of ordinary instructions.
TEST_F(Arithmetic, DoubleFunctions) {
  int n = 256;
  std::vector<double> x = someDoubles(random, n);
  Buffer<double> dx(x), dout(n);
  GPU_CHECK(launch(kernel(load("double"), "double_functions"), {1}, {256}, 0, dx.address,
                   dout.address, n));
  std::vector<double> out = dout.get();
  for (int i = 0; i < n; ++i) {
    double wanted =
        std::exp(std::sin(x[i])) + std::log(1 + x[i] * x[i]) + std::pow(std::fabs(x[i]) + 1, 0.3);
    EXPECT_NEAR(out[i], wanted, 1e-14 * std::fabs(wanted)) << x[i];
  }
}

TEST_F(Arithmetic, SingleFunctions) {
  int n = 256;
  std::vector<double> values = someDoubles(random, n);
  std::vector<float> x(values.begin(), values.end());
  Buffer<float> dx(x), dout(n);
  GPU_CHECK(
      launch(kernel(load("math"), "single_functions"), {1}, {256}, 0, dx.address, dout.address, n));
  std::vector<float> out = dout.get();
  for (int i = 0; i < n; ++i) {
    double v = x[i];
    double wanted = std::tanh(v) + std::erf(v) + std::cos(v) * std::sin(double(10000.0f * x[i])) +
                    std::log1p(v * v) + 1 / std::sqrt(1 + v * v) + std::cbrt(v);
    EXPECT_NEAR(out[i], wanted, 2e-6 * (1 + std::fabs(wanted))) << x[i];
  }
}

uint64_t bytePermute(uint32_t x, uint32_t y, uint32_t selector) {
  uint64_t both = uint64_t{y} << 32 | x, result = 0;
  for (int byte = 0; byte < 4; ++byte)
    result |= (both >> 8 * (selector >> 4 * byte & 7) & 0xff) << 8 * byte;
  return result;
}

int32_t dotOfBytes(int32_t x, int32_t y, int32_t sum) {
  for (int byte = 0; byte < 4; ++byte)
    sum += int8_t(x >> 8 * byte) * int8_t(y >> 8 * byte);
  return sum;
}

uint64_t unsignedOf(int64_t value) { return static_cast<uint64_t>(value); }

TEST_F(Arithmetic, Integers) {
  int n = 128;
  std::vector<unsigned> a(n), b(n);
  for (int i = 0; i < n; ++i)
    a[i] = random(), b[i] = random() >> (i % 32);
  Buffer<unsigned> da(a), db(b);
  Buffer<uint64_t> dout(16 * n);
  GPU_CHECK(launch(kernel("integers"), {1}, {128}, 0, da.address, db.address, dout.address, n));
  std::vector<uint64_t> out = dout.get();
  for (int i = 0; i < n; ++i) {
    uint32_t x = a[i], y = b[i];
    auto sx = int32_t(x), sy = int32_t(y);
    uint64_t wide = uint64_t{x} << 32 | y;
    const uint64_t *o = &out[16 * i];
    EXPECT_EQ(o[0], uint64_t{x} * y >> 32);
    EXPECT_EQ(o[1], uint32_t(int64_t{sx} * sy >> 32));
    EXPECT_EQ(o[2],
              uint64_t(static_cast<unsigned __int128>(wide) * (wide ^ 0x5555555555555555) >> 64));
    EXPECT_EQ(o[3], wide / (y | 1));
    EXPECT_EQ(o[4], unsignedOf(int64_t(wide) % (int64_t{sy} | 1)));
    EXPECT_EQ(o[5], bytePermute(x, y, 0x3175));
    EXPECT_EQ(o[6], uint32_t((uint64_t{y} << 32 | x) << (x & 31) >> 32));
    EXPECT_EQ(o[7], unsignedOf(dotOfBytes(sx, sy, 17)));
    EXPECT_EQ(o[8], uint32_t(sx < sy ? y - x : x - y) + 5u);
    auto low24 = [](int32_t v) { return int64_t(int32_t(uint32_t(v) << 8) >> 8); };
    EXPECT_EQ(o[9], uint32_t(low24(sx) * low24(sy)));
    EXPECT_EQ(o[10], uint64_t(uint16_t(x * 3) / uint16_t((y & 0xff) + 1)));
    EXPECT_EQ(o[11], uint32_t(int8_t(x >> 3)) + uint32_t(int16_t(y)));
    EXPECT_EQ(o[12], unsignedOf(std::popcount(wide) + std::countl_zero(wide) +
                                (wide ? std::countr_zero(wide) + 1 : 0)));
    EXPECT_EQ(o[13], unsignedOf(int32_t(sx / (sy | 1) + sx % (sy | 1))));
    EXPECT_EQ(o[14], (x >> (y & 31)) ^ uint32_t(sx >> (y & 31)) ^ (x << (y & 31)));
    uint32_t pairs = ((x + y) & 0xffff) | ((x & 0xffff0000) + (y & 0xffff0000));
    uint32_t size = sx < 0 ? 0u - x : x;
    EXPECT_EQ(uint32_t(o[15]), pairs ^ uint32_t(std::min(sx, sy)) ^ std::max(x, y) ^ size);
  }
}

int32_t clampToInt(double value) {
  if (value != value)
    return 0;
  return int32_t(std::min(std::max(value, -2147483648.0), 2147483647.0));
}

TEST_F(Arithmetic, Conversions) {
  std::vector<float> in = {0.0f,       -0.0f,  0.5f, 1.5f,      2.5f,       -0.5f,    -1.5f,
                           1e10f,      -1e10f, 3.7f, -3.7f,     100.1f,     -1234.5f, 65536,
                           0.9999999f, 1e-40f, NAN,  HUGE_VALF, -HUGE_VALF, 7.25f};
  int n = static_cast<int>(in.size());
  Buffer<float> din(in);
  Buffer<int> dout(16 * n);
  GPU_CHECK(launch(kernel("conversions"), {1}, {32}, 0, din.address, dout.address, n));
  std::vector<int> out = dout.get();
  for (int i = 0; i < n; ++i) {
    float x = in[i];
    const int *o = &out[16 * i];
    SCOPED_TRACE(x);
    EXPECT_EQ(o[0], clampToInt(std::nearbyint(double(x))));
    EXPECT_EQ(o[1], clampToInt(std::trunc(double(x))));
    EXPECT_EQ(o[2], clampToInt(std::floor(double(x))));
    EXPECT_EQ(o[3], clampToInt(std::ceil(double(x))));
    double positive = x > 0 ? std::trunc(double(x)) : 0;
    EXPECT_EQ(unsigned(o[4]), positive > 4294967295.0 ? ~0u : unsigned(positive));
    EXPECT_EQ(o[5], int8_t(clampToInt(std::trunc(double(x)))));
    if (std::isfinite(x)) {
      double down = std::bit_cast<float>(o[7]);
      EXPECT_LE(down, double(x) + double(1e-8f));
      EXPECT_GT(double(std::nextafter(float(down), HUGE_VALF)), double(x) + double(1e-8f));
      double up = std::bit_cast<float>(o[8]);
      EXPECT_GE(up, double(x) * double(1.1f));
      EXPECT_EQ(std::bit_cast<float>(o[9]), std::nearbyint(x));
    }
    float saturated = x > 0 ? std::min(x, 1.0f) : 0.0f;
    EXPECT_EQ(std::bit_cast<float>(o[11]), saturated);
  }
}

} // namespace
