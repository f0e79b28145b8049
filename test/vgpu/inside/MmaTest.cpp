// mma.sync of every shape and type gives what the plain triple loop gives, with
// every instruction set that this processor has.
#include "tensor/Arithmetic.h"
#include "tensor/Fragment.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <random>
#include <set>
#include <vector>

namespace {
using namespace vgpu::tensor;

constexpr Numerics kDocumented{}, kAdversarial{.isAdversarial = true};

/// The bits of a value that the format can hold exactly.
uint64_t encode(Format format, double value) {
  switch (format) {
  case Format::F64:
    return std::bit_cast<uint64_t>(value);
  case Format::F32:
  case Format::TF32:
    return std::bit_cast<uint32_t>(static_cast<float>(value));
  case Format::BF16:
    return std::bit_cast<uint32_t>(static_cast<float>(value)) >> 16;
  case Format::F16:
    return std::bit_cast<uint16_t>(static_cast<_Float16>(value));
  case Format::E5M2:
    return std::bit_cast<uint16_t>(static_cast<_Float16>(value)) >> 8;
  case Format::E4M3: { // half, with an exponent that is 8 less
    uint32_t bits = std::bit_cast<uint16_t>(static_cast<_Float16>(value / 256));
    return (bits >> 8 & 0x80) | (bits >> 7 & 0x7f);
  }
  default:
    return static_cast<uint64_t>(static_cast<int64_t>(value)) & ((1ull << bitsOf(format)) - 1);
  }
}

double decode(Format format, uint64_t bits) {
  switch (format) {
  case Format::F64:
    return std::bit_cast<double>(bits);
  case Format::F32:
    return std::bit_cast<float>(static_cast<uint32_t>(bits));
  case Format::F16:
    return static_cast<double>(std::bit_cast<_Float16>(static_cast<uint16_t>(bits)));
  default:
    return static_cast<int32_t>(bits);
  }
}

/// A small value that every format of its kind holds exactly.
double draw(Format format, std::mt19937 &random) {
  switch (format) {
  case Format::S8:
    return static_cast<int>(random() % 256) - 128;
  case Format::U8:
    return random() % 256;
  case Format::S4:
    return static_cast<int>(random() % 16) - 8;
  case Format::U4:
    return random() % 16;
  case Format::B1:
    return random() % 2;
  case Format::S32:
    return static_cast<int>(random() % 20001) - 10000;
  default:
    return static_cast<int>(random() % 9) - 4;
  }
}

/// Registers of 32 lanes, of 32 or 64 bits.
struct Registers {
  Registers(int count, Format format) : words(count, std::vector<uint32_t>(64)), format(format) {
    for (auto &word : words)
      pointers.push_back(word.data());
  }
  void put(int lane, int element, uint64_t bits) {
    if (bitsOf(format) == 64) {
      std::memcpy(&words[element][2 * lane], &bits, 8);
      return;
    }
    int pack = packOf(format), shift = element % pack * bitsOf(format);
    words[element / pack][lane] |= static_cast<uint32_t>(bits) << shift;
  }
  uint64_t get(int lane, int element) const {
    uint64_t bits = 0;
    if (bitsOf(format) == 64) {
      std::memcpy(&bits, &words[element][2 * lane], 8);
      return bits;
    }
    int pack = packOf(format), width = bitsOf(format);
    return words[element / pack][lane] >> element % pack * width & ((1ull << width) - 1);
  }
  const ConstRegister *sources() { return const_cast<const ConstRegister *>(pointers.data()); }

  std::vector<std::vector<uint32_t>> words;
  std::vector<Register> pointers;
  Format format;
};

/// One product: matrices, fragments, and what should come out.
class Product {
public:
  Product(const Form &form, std::mt19937 &random)
      : form(form), a(form.registersOfA(), form.a), b(form.registersOfB(), form.b),
        c(form.registersOf(form.c), form.c), d(form.registersOf(form.d), form.d) {
    for (int pair = 0; pair < (form.isQuadPairs() ? 4 : 1); ++pair)
      fill(pair, random);
  }

  /// `call(arithmetic)` leaves its result in d.
  void expect(const Arithmetic &arithmetic, const Numerics &numerics) {
    SumOrder order = sumOrder(numerics, form.m, form.n, form.k, form.a, form.b, Source::Registers);
    arithmetic.mma(form, order, a.sources(), b.sources(), c.sources(), d.pointers.data());
    for (int lane = 0; lane < 32; ++lane)
      for (int element = 0; element < elements(form.registersOf(form.d), form.d); ++element) {
        Cell cell = cellOfD(lane, element, form.d);
        EXPECT_EQ(decode(form.d, d.get(lane, element)), wanted(pairOf(lane), cell))
            << "lane " << lane << " element " << element;
      }
  }

  void fillAccumulators(int32_t value) {
    for (auto &word : c.words)
      std::fill(word.begin(), word.end(), static_cast<uint32_t>(value));
    for (auto &entry : matrixC)
      entry.second = value;
  }

private:
  using Key = std::tuple<int, int, int>;
  static int elements(int registers, Format format) { return registers * packOf(format); }
  int pairOf(int lane) const { return form.isQuadPairs() ? quadPairOf(lane) : 0; }
  Cell cellOfD(int lane, int element, Format format) const {
    return form.isQuadPairs() ? quadPairCellOfC(format == Format::F32, lane, element)
                              : cellOfC(lane, element);
  }

  void fill(int pair, std::mt19937 &random) {
    for (int lane = 0; lane < 32; ++lane) {
      if (pairOf(lane) != pair)
        continue;
      for (int element = 0; element < elements(form.registersOfA(), form.a); ++element) {
        Cell cell = form.isQuadPairs() ? quadPairCellOfA(form.isARowMajor, lane, element)
                                       : cellOfA(form.m, packOf(form.a), lane, element);
        double &value = matrixA[{pair, cell.row, cell.column}] = draw(form.a, random);
        a.put(lane, element, encode(form.a, value));
      }
      for (int element = 0; element < elements(form.registersOfB(), form.b); ++element) {
        Cell cell = form.isQuadPairs() ? quadPairCellOfB(form.isBRowMajor, lane, element)
                                       : cellOfB(packOf(form.b), lane, element);
        double &value = matrixB[{pair, cell.row, cell.column}] = draw(form.b, random);
        b.put(lane, element, encode(form.b, value));
      }
      for (int element = 0; element < elements(form.registersOf(form.c), form.c); ++element) {
        Cell cell = cellOfD(lane, element, form.c);
        double &value = matrixC[{pair, cell.row, cell.column}] = draw(form.c, random);
        c.put(lane, element, encode(form.c, value));
      }
    }
  }

  double wanted(int pair, Cell cell) const {
    double sum = 0;
    for (int k = 0; k < form.k; ++k) {
      double left = matrixA.at({pair, cell.row, k}), right = matrixB.at({pair, k, cell.column});
      if (form.a != Format::B1)
        sum += left * right;
      else
        sum += form.isAnd ? left * right : left != right;
    }
    sum += matrixC.at({pair, cell.row, cell.column});
    if (!isInteger(form.d))
      return sum;
    if (form.saturates)
      return std::clamp<double>(sum, INT32_MIN, INT32_MAX);
    return static_cast<int32_t>(static_cast<int64_t>(sum));
  }

  Form form;
  std::map<Key, double> matrixA, matrixB, matrixC;
  Registers a, b, c, d;
};

std::vector<Form> everyForm() {
  std::vector<Form> forms;
  const Format floats[] = {Format::F16, Format::F32};
  auto add = [&](int m, int k, Format a, Format b, Format c, Format d) {
    Form form;
    form.m = m, form.n = 8, form.k = k, form.a = a, form.b = b, form.c = c, form.d = d;
    forms.push_back(form);
  };
  for (int k : {8, 16}) {
    for (Format c : floats)
      add(16, k, Format::F16, Format::F16, c, c);
    add(16, k, Format::BF16, Format::BF16, Format::F32, Format::F32);
  }
  for (int k : {4, 8})
    add(16, k, Format::TF32, Format::TF32, Format::F32, Format::F32);
  for (Format a : {Format::E4M3, Format::E5M2})
    for (Format b : {Format::E4M3, Format::E5M2})
      for (Format c : floats)
        for (int k : {16, 32})
          add(16, k, a, b, c, c);
  for (Format a : {Format::S8, Format::U8})
    for (Format b : {Format::S8, Format::U8})
      for (auto [m, k] : {std::pair(8, 16), std::pair(16, 16), std::pair(16, 32)})
        add(m, k, a, b, Format::S32, Format::S32);
  for (Format a : {Format::S4, Format::U4})
    for (Format b : {Format::S4, Format::U4})
      for (auto [m, k] : {std::pair(8, 32), std::pair(16, 32), std::pair(16, 64)})
        add(m, k, a, b, Format::S32, Format::S32);
  for (auto [m, k] : {std::pair(8, 128), std::pair(16, 128), std::pair(16, 256)})
    for (bool isAnd : {false, true}) {
      add(m, k, Format::B1, Format::B1, Format::S32, Format::S32);
      forms.back().isAnd = isAnd;
    }
  for (auto [m, k] : {std::pair(8, 4), std::pair(16, 4), std::pair(16, 8), std::pair(16, 16)})
    add(m, k, Format::F64, Format::F64, Format::F64, Format::F64);
  for (bool isARowMajor : {false, true})
    for (bool isBRowMajor : {false, true})
      for (auto [c, d] : {std::pair(Format::F16, Format::F16), std::pair(Format::F16, Format::F32),
                          std::pair(Format::F32, Format::F32)}) {
        add(8, 4, Format::F16, Format::F16, c, d);
        forms.back().isARowMajor = isARowMajor;
        forms.back().isBRowMajor = isBRowMajor;
      }
  return forms;
}

std::string nameOf(const Form &form) {
  return "m" + std::to_string(form.m) + "n8k" + std::to_string(form.k) + " types " +
         std::to_string(int(form.d)) + " " + std::to_string(int(form.a)) + " " +
         std::to_string(int(form.b)) + " " + std::to_string(int(form.c));
}

TEST(Mma, EveryFormGivesThePlainProduct) {
  std::mt19937 random(1);
  int count;
  const Arithmetic *const *every = everyArithmetic(count);
  for (const Form &form : everyForm()) {
    SCOPED_TRACE(nameOf(form));
    ASSERT_EQ(whyNoMma(form), "");
    for (const Numerics &numerics : {kDocumented, kAdversarial})
      for (int version = 0; version < count; ++version)
        Product(form, random).expect(*every[version], numerics);
  }
}

// Integers wrap around, or stay at the limits with .satfinite.
TEST(Mma, IntegersSaturateWhenAsked) {
  std::mt19937 random(2);
  for (bool saturates : {false, true})
    for (int32_t start : {INT32_MAX, INT32_MIN}) {
      Form form;
      form.m = 16, form.n = 8, form.k = 32, form.a = form.b = Format::S8;
      form.c = form.d = Format::S32;
      form.saturates = saturates;
      Product product(form, random);
      product.fillAccumulators(start);
      product.expect(arithmetic(), kDocumented);
    }
}

/// A product of random values, by one instruction set.
std::vector<uint32_t> randomProduct(Format format, const Arithmetic &arithmetic,
                                    const Numerics &numerics, uint32_t extraBits = 0) {
  Form form;
  form.m = 16, form.n = 8, form.k = 256 / bitsOf(format), form.a = form.b = format;
  form.c = form.d = Format::F32;
  std::mt19937 random(3);
  Registers a(4, format), b(2, format), c(4, Format::F32), d(4, Format::F32);
  for (Registers *registers : {&a, &b})
    for (auto &word : registers->words)
      for (uint32_t &bits : word)
        bits = random() | extraBits;
  for (auto &word : c.words)
    for (uint32_t &bits : word)
      bits = std::bit_cast<uint32_t>(static_cast<float>(random() % 1000) / 7);
  SumOrder order = sumOrder(numerics, form.m, form.n, form.k, format, format, Source::Registers);
  arithmetic.mma(form, order, a.sources(), b.sources(), c.sources(), d.pointers.data());
  std::vector<uint32_t> result;
  for (auto &word : d.words)
    result.insert(result.end(), word.begin(), word.begin() + 32);
  return result;
}

// All bits of the operands, with infinities, NaNs and denormals among them.
TEST(Mma, InstructionSetsAgreeOnEveryBit) {
  int count;
  const Arithmetic *const *every = everyArithmetic(count);
  for (Format format : {Format::F16, Format::BF16, Format::TF32, Format::E4M3, Format::E5M2})
    for (int version = 1; version < count; ++version)
      EXPECT_EQ(randomProduct(format, *every[0], kDocumented),
                randomProduct(format, *every[version], kDocumented))
          << int(format);
}

// D may be in the registers of A.
TEST(Mma, ResultsMayReplaceOperands) {
  Form form;
  form.m = 16, form.n = 8, form.k = 16, form.a = form.b = Format::BF16;
  SumOrder order = sumOrder(kDocumented, 16, 8, 16, form.a, form.b, Source::Registers);
  int count;
  const Arithmetic *const *every = everyArithmetic(count);
  for (int version = 0; version < count; ++version) {
    std::mt19937 random(5);
    Registers a(4, form.a), b(2, form.b), c(4, form.c), d(4, form.d);
    for (Registers *registers : {&a, &b})
      for (auto &word : registers->words)
        for (uint32_t &bits : word)
          bits = random();
    auto multiply = [&](const std::vector<Register> &to) {
      every[version]->mma(form, order, a.sources(), b.sources(), c.sources(), to.data());
    };
    multiply(d.pointers);
    std::vector<Register> inA(a.pointers.rbegin(), a.pointers.rend());
    multiply(inA);
    for (int number = 0; number < 4; ++number)
      EXPECT_TRUE(std::equal(inA[number], inA[number] + 32, d.words[number].begin()));
  }
}

// The only NaN that comes out is the machine's.
TEST(Mma, NanIsCanonical) {
  for (uint32_t bits : randomProduct(Format::BF16, arithmetic(), kDocumented, ~0u))
    EXPECT_EQ(bits, 0x7fffffffu);
}

// In adversarial mode, sums that round come out differently.
TEST(Mma, AdversarialOrderChangesRoundedSums) {
  EXPECT_NE(randomProduct(Format::TF32, arithmetic(), kDocumented),
            randomProduct(Format::TF32, arithmetic(), kAdversarial));
  EXPECT_NE(randomProduct(Format::E5M2, arithmetic(), kDocumented),
            randomProduct(Format::E5M2, arithmetic(), kAdversarial));
}

// The documented order: from the accumulator on, k ascending, each step rounded.
TEST(Mma, DocumentedOrderIsAscending) {
  Form form;
  form.m = 16, form.n = 8, form.k = 16, form.a = form.b = Format::BF16;
  std::mt19937 random(4);
  std::uniform_real_distribution<float> uniform(-1, 1);
  float left[16][16], right[16][8], sums[16][8];
  Registers a(4, Format::BF16), b(2, Format::BF16), c(4, Format::F32), d(4, Format::F32);
  for (int lane = 0; lane < 32; ++lane) {
    for (int element = 0; element < 8; ++element) {
      uint32_t bits = std::bit_cast<uint32_t>(uniform(random)) & 0xffff0000;
      Cell cell = cellOfA(16, 2, lane, element);
      left[cell.row][cell.column] = std::bit_cast<float>(bits);
      a.put(lane, element, bits >> 16);
    }
    for (int element = 0; element < 4; ++element) {
      uint32_t bits = std::bit_cast<uint32_t>(uniform(random)) & 0xffff0000;
      Cell cell = cellOfB(2, lane, element);
      right[cell.row][cell.column] = std::bit_cast<float>(bits);
      b.put(lane, element, bits >> 16);
      float start = uniform(random);
      cell = cellOfC(lane, element);
      sums[cell.row][cell.column] = start;
      c.put(lane, element, std::bit_cast<uint32_t>(start));
    }
  }
  SumOrder order = sumOrder(kDocumented, 16, 8, 16, form.a, form.b, Source::Registers);
  arithmetic().mma(form, order, a.sources(), b.sources(), c.sources(), d.pointers.data());
  for (int lane = 0; lane < 32; ++lane)
    for (int element = 0; element < 4; ++element) {
      Cell cell = cellOfC(lane, element);
      float sum = sums[cell.row][cell.column];
      for (int k = 0; k < 16; ++k)
        sum += left[cell.row][k] * right[k][cell.column];
      EXPECT_EQ(std::bit_cast<uint32_t>(sum), d.get(lane, element));
    }
}

std::vector<uint8_t> stepsOf(const Numerics &numerics, int m, int n, Source source) {
  SumOrder order = sumOrder(numerics, m, n, 16, Format::BF16, Format::BF16, source);
  std::vector<uint8_t> steps(order.step, order.step + 16);
  steps.push_back(order.startsFromZero);
  return steps;
}

// Of what the order may depend, and on what it must not where that is assumed.
TEST(Mma, AdversarialOrderKeepsToWhatIsAssumed) {
  EXPECT_NE(stepsOf(kAdversarial, 64, 8, Source::SharedMemory),
            stepsOf(kAdversarial, 64, 16, Source::SharedMemory));
  std::set<std::vector<uint8_t>> orders;
  for (uint64_t seed = 0; seed < 3; ++seed) {
    Numerics numerics{.isAdversarial = true, .sumsAlike = true, .seed = seed};
    std::vector<uint8_t> steps = stepsOf(numerics, 16, 8, Source::Registers);
    orders.insert(steps);
    for (int n = 8; n <= 256; n += 8) {
      EXPECT_EQ(stepsOf(numerics, 64, n, Source::SharedMemory), steps);
      EXPECT_NE(stepsOf(numerics, 64, n, Source::WarpgroupRegisters), steps);
    }
  }
  EXPECT_EQ(orders.size(), 3u);
}

TEST(Form, SaysWhyThereIsNone) {
  Form form;
  form.m = 16, form.n = 8, form.k = 32, form.a = form.b = Format::F16;
  EXPECT_EQ(whyNoMma(form), "no mma.sync has this shape with these types");
  form.a = form.b = Format::E4M3;
  EXPECT_EQ(whyNoMma(form), "");
  EXPECT_EQ(originOf(form).chip, 89);
  form.c = Format::S32;
  EXPECT_EQ(whyNoMma(form), "these types of C and D do not go with A and B");
  form = Form();
  form.m = 64, form.n = 12, form.k = 16;
  EXPECT_EQ(whyNoWarpgroupMma(form), "N must be a multiple of 8 up to 256, but is 12");
  form.n = 256, form.k = 8;
  EXPECT_EQ(whyNoWarpgroupMma(form), "wgmma of these types has shape m64nNk16");
}

} // namespace
