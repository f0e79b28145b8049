// mma.sync and wgmma give, bit for bit, the sums that Numerics.h defines, one product
// after the other: for operands of all kinds, however far they leave f32, in either
// mode, with every instruction set that this processor has.
#include "tensor/Arithmetic.h"
#include "tensor/Fragment.h"

#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <random>
#include <vector>

namespace {

using namespace vgpu::tensor;

struct Layout {
  int exponentBits, mantissaBits;
};

Layout layoutOf(Format format) {
  switch (format) {
  case Format::F16:
    return {5, 10};
  case Format::BF16:
    return {8, 7};
  case Format::E4M3:
    return {4, 3};
  case Format::E5M2:
    return {5, 2};
  default: // of tf32 the low bits count for nothing
    return {8, 23};
  }
}

float valueOf(Format format, uint32_t bits) {
  if (format == Format::F32)
    return std::bit_cast<float>(bits);
  if (format == Format::TF32)
    return std::bit_cast<float>(bits & 0xffffe000);
  auto [exponentBits, mantissaBits] = layoutOf(format);
  int most = (1 << exponentBits) - 1, bias = most / 2;
  int exponent = static_cast<int>(bits >> mantissaBits) & most;
  int mantissa = static_cast<int>(bits) & ((1 << mantissaBits) - 1), one = 1 << mantissaBits;
  float size = exponent ? std::ldexp(float(one + mantissa), exponent - bias - mantissaBits)
                        : std::ldexp(float(mantissa), 1 - bias - mantissaBits);
  if (format == Format::E4M3 && exponent == most && mantissa == one - 1)
    size = NAN;
  if (format != Format::E4M3 && exponent == most)
    size = mantissa ? NAN : INFINITY;
  return bits >> (exponentBits + mantissaBits) & 1 ? -size : size;
}

enum class Kind { Ordinary, Huge, Tiny, Special, Any };
constexpr Kind kKinds[] = {Kind::Ordinary, Kind::Huge, Kind::Tiny, Kind::Special, Kind::Any};

class Source {
public:
  explicit Source(uint32_t seed) : random(seed) {}

  uint32_t draw(Format format, Kind kind) {
    auto [exponentBits, mantissaBits] = layoutOf(format);
    uint32_t most = (1u << exponentBits) - 1, exponent = random() & most;
    uint32_t mantissa = random() & ((1u << mantissaBits) - 1), sign = random() & 1;
    if (kind == Kind::Any)
      kind = kKinds[random() % 4];
    if (kind == Kind::Ordinary)
      exponent = most / 2 - 2 + random() % 4;
    else if (kind == Kind::Huge)
      exponent = most - 1 - random() % 2;
    else if (kind == Kind::Tiny)
      exponent = random() % 2 ? 0 : most / 4;
    else // zero, the largest, infinity, NaN
      exponent = random() % 2 * most, mantissa = random() % 3 ? 0 : mantissa;
    return ((sign << exponentBits | exponent) << mantissaBits) | mantissa;
  }

private:
  std::mt19937 random;
};

float truncated(float value) {
  return std::bit_cast<float>(std::bit_cast<uint32_t>(value) & 0xfffffc00);
}

/// The definition. `left` and `right` are in the order of k.
float plainSum(const SumOrder &order, float accumulator, const std::vector<float> &left,
               const std::vector<float> &right) {
  std::vector<size_t> byStep(left.size());
  for (size_t k = 0; k < left.size(); ++k)
    byStep[order.step[k]] = k;
  float sum = order.startsFromZero ? 0 : accumulator;
  for (size_t k : byStep) {
    volatile float product = left[k] * right[k]; // rounded on its own
    sum += product;
    if (order.keeps13Bits)
      sum = truncated(sum);
  }
  return order.startsFromZero ? sum + accumulator : sum;
}

uint32_t encoded(Format format, float sum) {
  if (format == Format::F32)
    return sum != sum ? 0x7fffffff : std::bit_cast<uint32_t>(sum);
  return sum != sum ? 0x7fff : std::bit_cast<uint16_t>(static_cast<_Float16>(sum));
}

// --- mma.sync

/// Registers of a fragment, and its values.
struct Fragment {
  Fragment(Format format, int registers) : format(format), words(registers) {
    for (auto &word : words)
      pointers.push_back(word.data());
  }
  int elements() const { return static_cast<int>(words.size()) * packOf(format); }
  uint32_t shiftOf(int element) const {
    return static_cast<uint32_t>(element % packOf(format) * bitsOf(format));
  }
  void put(int lane, int element, uint32_t bits) {
    words[element / packOf(format)][lane] |= bits << shiftOf(element);
  }
  uint32_t get(int lane, int element) const {
    uint32_t mask = bitsOf(format) == 32 ? ~0u : (1u << bitsOf(format)) - 1;
    return words[element / packOf(format)][lane] >> shiftOf(element) & mask;
  }
  const ConstRegister *sources() const {
    return const_cast<const ConstRegister *>(pointers.data());
  }

  Format format;
  std::vector<std::array<uint32_t, 32>> words;
  std::vector<Register> pointers;
};

void expectMma(const Arithmetic &arithmetic, const Form &form, const Numerics &numerics, Kind kindA,
               Kind kindB, Kind kindC) {
  auto source = ::Source(static_cast<uint32_t>(kindA) * 25 + static_cast<uint32_t>(kindB) * 5 +
                         static_cast<uint32_t>(kindC));
  Fragment a(form.a, form.registersOfA()), b(form.b, form.registersOfB());
  Fragment c(form.c, form.registersOf(form.c)), d(form.d, form.registersOf(form.d));
  std::vector<std::vector<float>> left(16, std::vector<float>(form.k)), right(8, left[0]);
  for (int lane = 0; lane < 32; ++lane) {
    for (int element = 0; element < a.elements(); ++element) {
      Cell cell = cellOfA(form.m, packOf(form.a), lane, element);
      uint32_t bits = source.draw(form.a, kindA);
      a.put(lane, element, bits);
      left[cell.row][cell.column] = valueOf(form.a, bits);
    }
    for (int element = 0; element < b.elements(); ++element) {
      Cell cell = cellOfB(packOf(form.b), lane, element);
      uint32_t bits = source.draw(form.b, kindB);
      b.put(lane, element, bits);
      right[cell.column][cell.row] = valueOf(form.b, bits);
    }
    for (int element = 0; element < c.elements(); ++element)
      c.put(lane, element, source.draw(form.c, kindC));
  }
  SumOrder order =
      sumOrder(numerics, form.m, form.n, form.k, form.a, form.b, vgpu::tensor::Source::Registers);
  arithmetic.mma(form, order, a.sources(), b.sources(), c.sources(), d.pointers.data());
  for (int lane = 0; lane < 32; ++lane)
    for (int element = 0; element < d.elements(); ++element) {
      Cell cell = cellOfC(lane, element);
      float sum = plainSum(order, valueOf(form.c, c.get(lane, element)), left[cell.row],
                           right[cell.column]);
      ASSERT_EQ(d.get(lane, element), encoded(form.d, sum))
          << "lane " << lane << " element " << element;
    }
}

std::vector<Form> floatForms() {
  std::vector<Form> forms;
  auto add = [&](int k, Format a, Format b, Format d) {
    Form form;
    form.m = 16, form.n = 8, form.k = k, form.a = a, form.b = b, form.c = form.d = d;
    forms.push_back(form);
  };
  for (int k : {8, 16}) {
    add(k, Format::F16, Format::F16, Format::F32);
    add(k, Format::F16, Format::F16, Format::F16);
    add(k, Format::BF16, Format::BF16, Format::F32);
    add(k / 2, Format::TF32, Format::TF32, Format::F32);
    for (Format a : {Format::E4M3, Format::E5M2})
      for (Format b : {Format::E4M3, Format::E5M2})
        add(2 * k, a, b, Format::F32);
  }
  return forms;
}

template <class Visit> void forEveryArithmetic(Visit visit) {
  int count;
  const Arithmetic *const *every = everyArithmetic(count);
  for (int version = 0; version < count; ++version) {
    SCOPED_TRACE("instruction set " + std::to_string(version));
    for (const Numerics &numerics : {Numerics{}, Numerics{.isAdversarial = true}})
      visit(*every[version], numerics);
  }
}

TEST(SumOrder, MmaSumsOneProductAfterTheOther) {
  forEveryArithmetic([](const Arithmetic &arithmetic, const Numerics &numerics) {
    for (const Form &form : floatForms()) {
      SCOPED_TRACE("types " + std::to_string(int(form.a)) + " " + std::to_string(int(form.b)) +
                   " " + std::to_string(int(form.d)) + " k " + std::to_string(form.k));
      for (Kind kindA : kKinds)
        for (Kind kindB : kKinds)
          for (Kind kindC : kKinds)
            expectMma(arithmetic, form, numerics, kindA, kindB, kindC);
    }
  });
}

// --- wgmma

/// Rows of 32 bytes along k, as two halves of words for `spread`, and their values.
struct Rows {
  Rows(::Source &source, Format format, Kind kind, int count) : format(format) {
    int k = 256 / bitsOf(format), pack = packOf(format);
    for (int row = 0; row < count; ++row) {
      words.push_back({});
      values.emplace_back();
      for (int column = 0; column < k; ++column) {
        uint32_t bits = source.draw(format, kind);
        words[row][column / pack] |= bits << column % pack * bitsOf(format);
        values[row].push_back(valueOf(format, bits));
      }
    }
  }
  /// As the arithmetic wants them.
  std::vector<uint32_t> unpacked(const Arithmetic &arithmetic, Side side,
                                 const SumOrder &order) const {
    int count = static_cast<int>(words.size()), k = 256 / bitsOf(format);
    int stride = side == Side::A ? count : strideOfB(count);
    std::vector<uint32_t> out(static_cast<size_t>(k) * stride);
    for (int first = 0; first < count; first += 8)
      for (int half = 0; half < 2; ++half) {
        uint32_t block[32];
        for (int word = 0; word < 32; ++word)
          block[word] = words[first + word / 4][4 * half + word % 4];
        arithmetic.spread(side, format, block, order, half * k / 2, out.data() + first, stride);
      }
    return out;
  }

  Format format;
  std::vector<std::array<uint32_t, 8>> words;
  std::vector<std::vector<float>> values;
};

void expectWarpgroupRows(const Arithmetic &arithmetic, const Form &form, const Numerics &numerics,
                         Kind kind, bool accumulates) {
  auto source = ::Source(static_cast<uint32_t>(kind) * 2 + accumulates);
  Rows a(source, form.a, kind, 16), b(source, form.b, kind, form.n);
  Fragment d(form.d, form.registersOf(form.d));
  for (int lane = 0; lane < 32; ++lane)
    for (int element = 0; element < d.elements(); ++element)
      d.put(lane, element, source.draw(form.d, kind));
  Fragment before = d;
  SumOrder order = sumOrder(numerics, form.m, form.n, form.k, form.a, form.b,
                            vgpu::tensor::Source::SharedMemory);
  auto left = a.unpacked(arithmetic, Side::A, order),
       right = b.unpacked(arithmetic, Side::B, order);
  const Factors factors[] = {{left.data(), right.data()}};
  arithmetic.warpgroupRows(form, order, accumulates, factors, d.pointers.data());
  for (int lane = 0; lane < 32; ++lane)
    for (int element = 0; element < d.elements(); ++element) {
      Cell cell = cellOfC(lane, element);
      float accumulator = accumulates ? valueOf(form.d, before.get(lane, element)) : 0;
      float sum = plainSum(order, accumulator, a.values[cell.row], b.values[cell.column]);
      ASSERT_EQ(d.get(lane, element), encoded(form.d, sum))
          << "lane " << lane << " element " << element;
    }
}

/// Some at once give what they give one after the other.
void expectWarpgroupChain(const Arithmetic &arithmetic, const Form &form, const Numerics &numerics,
                          Kind kind) {
  auto source = ::Source(static_cast<uint32_t>(kind));
  SumOrder order = sumOrder(numerics, form.m, form.n, form.k, form.a, form.b,
                            vgpu::tensor::Source::SharedMemory);
  std::vector<uint32_t> left[kMostFactors], right[kMostFactors];
  Factors factors[kMostFactors];
  for (int number = 0; number < kMostFactors; ++number) {
    left[number] = Rows(source, form.a, kind, 16).unpacked(arithmetic, Side::A, order);
    right[number] = Rows(source, form.b, kind, form.n).unpacked(arithmetic, Side::B, order);
    factors[number] = {left[number].data(), right[number].data()};
  }
  int registers = form.registersOf(form.d);
  Fragment together(form.d, registers), apart(form.d, registers);
  arithmetic.warpgroupRows(form, order, false, factors, together.pointers.data());
  for (int number = 0; number < kMostFactors; ++number)
    arithmetic.warpgroupRows(form, order, number > 0, {&factors[number], 1}, apart.pointers.data());
  ASSERT_EQ(together.words, apart.words);
}

TEST(SumOrder, WgmmaSumsOneProductAfterTheOther) {
  forEveryArithmetic([](const Arithmetic &arithmetic, const Numerics &numerics) {
    for (const Form &mma : floatForms())
      for (int n : {8, 24, 128}) {
        Form form = mma;
        form.m = 64, form.n = n, form.k = 256 / bitsOf(form.a);
        SCOPED_TRACE("types " + std::to_string(int(form.a)) + " " + std::to_string(int(form.b)) +
                     " " + std::to_string(int(form.d)) + " n " + std::to_string(n));
        for (Kind kind : kKinds) {
          for (bool accumulates : {false, true})
            expectWarpgroupRows(arithmetic, form, numerics, kind, accumulates);
          expectWarpgroupChain(arithmetic, form, numerics, kind);
        }
      }
  });
}

} // namespace
