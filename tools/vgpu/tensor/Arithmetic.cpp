// Compiled once for each instruction set, VGPU_VARIANT.
#include "tensor/Arithmetic.h"

#include "tensor/Fragment.h"
#include "tensor/FragmentProduct.h"
#include "tensor/Product.h"
#include "tensor/Unpack.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace vgpu::tensor {
namespace {

constexpr int kMostRows = 16, kMostColumns = 256, kMostSteps = 64;

/// Eight neighbours along m or n.
[[gnu::always_inline]] inline void storeEight(Side side, uint32_t *to, const Word8 &values) {
  store(to,
        side == Side::A ? values : __builtin_shufflevector(values, values, 0, 2, 4, 6, 1, 3, 5, 7));
}

void spread(Side side, Format format, const uint32_t *words, const SumOrder &order, int first,
            uint32_t *out, int stride) {
  Word8 columns[4];
  transpose8x4(words, columns);
  withFormat(format, [&]<Format constant>() {
    constexpr int pack = packOf(constant);
    for (int t = 0; t < 4; ++t)
      for (int element = 0; element < (constant == Format::B1 ? 1 : pack); ++element) {
        Word8 values;
        unpack<constant>(columns[t], element, values);
        int k = constant == Format::B1 ? first + t : first + t * pack + element;
        storeEight(side, out + order.step[k] * stride, values);
      }
  });
}

void spreadAcross(Side side, Format format, const uint32_t *words, const SumOrder &order, int first,
                  uint32_t *out, int stride) {
  for (int row = 0; row < 8; ++row) {
    Word8 pairs{};
    for (int word = 0; word < 4; ++word) // each word twice, its low half at the bottom
      pairs[2 * word] = words[4 * row + word], pairs[2 * word + 1] = words[4 * row + word] >> 16;
    Word8 values;
    if (format == Format::BF16)
      unpack<Format::BF16>(pairs, 0, values);
    else
      unpack<Format::F16>(pairs, 0, values);
    storeEight(side, out + order.step[first + row] * stride, values);
  }
}

// --- Accumulators, as rows of columns where `placeOfColumn` has them

float halfToFloat(uint32_t bits) {
  return static_cast<float>(std::bit_cast<_Float16>(static_cast<uint16_t>(bits)));
}
uint32_t halfFromFloat(float value) {
  if (value != value)
    return 0x7fff;
  return std::bit_cast<uint16_t>(static_cast<_Float16>(value));
}

/// out[(g + 8 h) × width + 8 j + 4 e + t] = word of register 4 j + 2 h + e, lane 4 g + t.
void gatherWords(const ConstRegister *c, int rows, int width, uint32_t *out) {
  for (int block = 0; block < width / 8; ++block)
    for (int half = 0; half < rows / 8; ++half) {
      const ConstRegister *pair = c + (block * (rows / 8) + half) * 2;
      for (int g = 0; g < 8; ++g) {
        Word4 even, odd;
        load(even, pair[0] + 4 * g), load(odd, pair[1] + 4 * g);
        uint32_t *row = out + (g + 8 * half) * width + 8 * block;
        store(row, even), store(row + 4, odd);
      }
    }
}

template <bool isFloat>
void scatterWords(const uint32_t *rows, int count, int width, const Register *d) {
  for (int block = 0; block < width / 8; ++block)
    for (int half = 0; half < count / 8; ++half) {
      const Register *pair = d + (block * (count / 8) + half) * 2;
      for (int g = 0; g < 8; ++g) {
        Word8 row;
        load(row, rows + (g + 8 * half) * width + 8 * block);
        if constexpr (isFloat)
          canonicalize(row);
        store(pair[0] + 4 * g, __builtin_shufflevector(row, row, 0, 1, 2, 3));
        store(pair[1] + 4 * g, __builtin_shufflevector(row, row, 4, 5, 6, 7));
      }
    }
}

/// f16 accumulators: two neighbours of a row share a register.
void gatherHalves(const ConstRegister *c, int rows, int width, float *out) {
  for (int lane = 0; lane < 32; ++lane)
    for (int element = 0; element < rows * width / 32; ++element) {
      Cell cell = cellOfC(lane, element);
      out[cell.row * width + placeOfColumn(cell.column)] =
          halfToFloat(c[element / 2][lane] >> 16 * (element % 2));
    }
}
void scatterHalves(const float *rows, int count, int width, const Register *d) {
  for (int lane = 0; lane < 32; ++lane)
    for (int element = 0; element < count * width / 32; element += 2) {
      Cell cell = cellOfC(lane, element);
      const float *even = rows + cell.row * width + placeOfColumn(cell.column);
      d[element / 2][lane] = halfFromFloat(even[0]) | halfFromFloat(even[4]) << 16;
    }
}

struct alignas(64) Rows {
  union {
    float f32[kMostRows * kMostColumns];
    int32_t s32[kMostRows * kMostColumns];
    uint32_t words[kMostRows * kMostColumns];
  };
};

void readRows(Format format, const ConstRegister *c, int rows, int width, Rows &out) {
  if (format == Format::F16)
    gatherHalves(c, rows, width, out.f32);
  else
    gatherWords(c, rows, width, out.words);
}

void writeRows(Format format, const Rows &rows, int count, int width, const Register *d) {
  if (format == Format::F16)
    scatterHalves(rows.f32, count, width, d);
  else if (format == Format::F32)
    scatterWords<true>(rows.words, count, width, d);
  else
    scatterWords<false>(rows.words, count, width, d);
}

// --- Products

void addFloats(const SumOrder &order, float *d, const float *a, const float *b, int rows, int width,
               int depth) {
  Rows accumulators;
  int count = rows * width;
  if (order.startsFromZero) {
    std::copy(d, d + count, accumulators.f32);
    std::fill(d, d + count, 0.0f);
  }
  if (order.keeps13Bits)
    multiply<Truncated>(d, a, b, rows, width, depth);
  else
    multiply<Exact>(d, a, b, rows, width, depth);
  if (order.startsFromZero)
    for (int index = 0; index < count; ++index)
      d[index] += accumulators.f32[index];
}

/// Sums of products fit in 32 bits; what they are added to may overflow.
void addIntegers(bool saturates, int32_t *d, const int32_t *a, const int32_t *b, int rows,
                 int width, int depth) {
  alignas(64) int32_t sums[kMostRows * kMostColumns];
  int count = rows * width;
  std::fill(sums, sums + count, 0);
  multiply<Exact>(sums, a, b, rows, width, depth);
  for (int index = 0; index < count; ++index) {
    int64_t sum = int64_t{d[index]} + sums[index];
    d[index] =
        static_cast<int32_t>(saturates ? std::clamp<int64_t>(sum, INT32_MIN, INT32_MAX) : sum);
  }
}

/// a is depth × rows and b depth × strideOfB(width) words of 32 bits each.
void addBits(bool isAnd, int32_t *d, const uint32_t *a, const uint32_t *b, int rows, int width,
             int depth) {
  for (int row = 0; row < rows; ++row)
    for (int column = 0; column < width; ++column)
      for (int k = 0; k < depth; ++k) {
        uint32_t left = a[k * rows + row], right = b[k * strideOfB(width) + column];
        d[row * width + column] += std::popcount(isAnd ? left & right : left ^ right);
      }
}

void addProduct(const Form &form, const SumOrder &order, Rows &d, const uint32_t *a,
                const uint32_t *b, int rows) {
  if (form.a == Format::B1)
    return addBits(form.isAnd, d.s32, a, b, rows, form.n, form.k / 32);
  if (isInteger(form.a))
    return addIntegers(form.saturates, d.s32, reinterpret_cast<const int32_t *>(a),
                       reinterpret_cast<const int32_t *>(b), rows, form.n, form.k);
  addFloats(order, d.f32, reinterpret_cast<const float *>(a), reinterpret_cast<const float *>(b),
            rows, form.n, form.k);
}

// --- mma.sync

void mmaDouble(const Form &form, const ConstRegister *a, const ConstRegister *b,
               const ConstRegister *c, const Register *d) {
  double left[16][16], right[16][8], sums[16][8];
  auto get = [](const ConstRegister *registers, int lane, int element) {
    return reinterpret_cast<const double *>(registers[element])[lane];
  };
  int ofC = form.registersOf(Format::F64);
  for (int lane = 0; lane < 32; ++lane) {
    for (int element = 0; element < form.registersOfA(); ++element) {
      Cell cell = cellOfA(form.m, 1, lane, element);
      left[cell.row][cell.column] = get(a, lane, element);
    }
    for (int element = 0; element < form.registersOfB(); ++element) {
      Cell cell = cellOfB(1, lane, element);
      right[cell.row][cell.column] = get(b, lane, element);
    }
    for (int element = 0; element < ofC; ++element) {
      Cell cell = cellOfC(lane, element);
      sums[cell.row][cell.column] = get(c, lane, element);
    }
  }
  for (int lane = 0; lane < 32; ++lane)
    for (int element = 0; element < ofC; ++element) {
      Cell cell = cellOfC(lane, element);
      double sum = sums[cell.row][cell.column];
      for (int k = 0; k < form.k; ++k)
        sum = std::fma(left[cell.row][k], right[k][cell.column], sum);
      reinterpret_cast<double *>(d[element])[lane] = sum;
    }
}

/// m8n8k4 of f16: the lanes of each quad pair compute a product of their own.
void mmaQuadPairs(const Form &form, const SumOrder &order, const ConstRegister *a,
                  const ConstRegister *b, const ConstRegister *c, const Register *d) {
  alignas(64) float left[4][4 * 8], right[4][4 * 8], sums[4][8 * 8];
  auto half = [](const ConstRegister *registers, int lane, int element) {
    return halfToFloat(registers[element / 2][lane] >> 16 * (element % 2));
  };
  bool isCWide = form.c == Format::F32, isDWide = form.d == Format::F32;
  for (int lane = 0; lane < 32; ++lane) {
    int pair = quadPairOf(lane);
    for (int element = 0; element < 4; ++element) {
      Cell cell = quadPairCellOfA(form.isARowMajor, lane, element);
      left[pair][order.step[cell.column] * 8 + cell.row] = half(a, lane, element);
      cell = quadPairCellOfB(form.isBRowMajor, lane, element);
      right[pair][order.step[cell.row] * 8 + cell.column] = half(b, lane, element);
    }
    for (int element = 0; element < 8; ++element) {
      Cell cell = quadPairCellOfC(isCWide, lane, element);
      sums[pair][cell.row * 8 + cell.column] =
          isCWide ? std::bit_cast<float>(c[element][lane]) : half(c, lane, element);
    }
  }
  for (int pair = 0; pair < 4; ++pair)
    addFloats(order, sums[pair], left[pair], right[pair], 8, 8, 4);
  for (int lane = 0; lane < 32; ++lane)
    for (int element = 0; element < 8; ++element) {
      Cell cell = quadPairCellOfC(isDWide, lane, element);
      float value = sums[quadPairOf(lane)][cell.row * 8 + cell.column];
      if (isDWide) {
        d[element][lane] = value != value ? 0x7fffffff : std::bit_cast<uint32_t>(value);
        continue;
      }
      uint32_t shift = 16 * (element % 2);
      uint32_t &word = d[element / 2][lane];
      word = (shift ? word & 0xffff : 0) | halfFromFloat(value) << shift;
    }
}

/// m16n8 of floats, whose sums are f32.
void mmaFragments(const Form &form, const ConstRegister *a, const ConstRegister *b,
                  const ConstRegister *c, const Register *d) {
  int registersOfB = form.k / (4 * packOf(form.b));
  auto withB = [&]<Format formatA, Format formatB>() {
    multiplyFragments<formatA, formatB>(a, b, c, d, registersOfB);
  };
  withFormat(form.a, [&]<Format formatA>() {
    if constexpr (isFp8(formatA)) {
      if (form.b == Format::E4M3)
        withB.template operator()<formatA, Format::E4M3>();
      else
        withB.template operator()<formatA, Format::E5M2>();
    } else if constexpr (!isInteger(formatA)) {
      withB.template operator()<formatA, formatA>();
    }
  });
}

/// Elements of k that a register of four lanes covers, in rows of `spread`.
int depthOfRegister(Format format) { return format == Format::B1 ? 4 : 4 * packOf(format); }

void mma(const Form &form, const SumOrder &order, const ConstRegister *a, const ConstRegister *b,
         const ConstRegister *c, const Register *d) {
  if (form.a == Format::F64)
    return mmaDouble(form, a, b, c, d);
  if (form.isQuadPairs())
    return mmaQuadPairs(form, order, a, b, c, d);
  if (order.isDocumented && form.d == Format::F32)
    return mmaFragments(form, a, b, c, d);
  alignas(64) uint32_t left[kMostSteps * 16], right[kMostSteps * 8];
  int tall = form.m / 8; // registers side by side in a row block
  int perA = depthOfRegister(form.a), perB = depthOfRegister(form.b);
  for (int r = 0; r < form.registersOfA(); ++r)
    spread(Side::A, form.a, a[r], order, r / tall * perA, left + 8 * (r % tall), form.m);
  for (int r = 0; r < form.registersOfB(); ++r)
    spread(Side::B, form.b, b[r], order, r * perB, right, 8);
  Rows rows;
  readRows(form.c, c, form.m, 8, rows);
  addProduct(form, order, rows, left, right, form.m);
  writeRows(form.d, rows, form.m, 8, d);
}

/// Sums of f32 stay in registers from one product to the next.
void warpgroupFloats(const Form &form, const SumOrder &order, bool accumulates,
                     std::span<const Factors> factors, const Register *accumulators) {
  constexpr int kMostDepth = 32;
  WideFloats rows[kMostFactors * kMostDepth][2][kPieces];
  for (size_t number = 0; number < factors.size(); ++number)
    spreadToQuads(reinterpret_cast<const float *>(factors[number].a), form.k,
                  rows + number * form.k);
  RowProduct product{rows,        factors, form.n, form.k, accumulates, order.startsFromZero,
                     accumulators};
  return order.keeps13Bits ? multiplyRows<Truncated>(product) : multiplyRows<Exact>(product);
}

void warpgroupWords(const Form &form, const SumOrder &order, bool accumulates,
                    const Factors &factors, const Register *accumulators) {
  Rows rows;
  if (accumulates)
    readRows(form.d, accumulators, 16, form.n, rows);
  else
    std::fill(rows.words, rows.words + 16 * form.n, 0u);
  addProduct(form, order, rows, factors.a, factors.b, 16);
  writeRows(form.d, rows, 16, form.n, accumulators);
}

void warpgroupRows(const Form &form, const SumOrder &order, bool accumulates,
                   std::span<const Factors> factors, const Register *accumulators) {
  if (form.d == Format::F32 && !order.startsFromZero)
    return warpgroupFloats(form, order, accumulates, factors, accumulators);
  for (size_t number = 0; number < factors.size(); ++number) {
    bool adds = accumulates || number > 0;
    if (form.d == Format::F32)
      warpgroupFloats(form, order, adds, factors.subspan(number, 1), accumulators);
    else
      warpgroupWords(form, order, adds, factors[number], accumulators);
  }
}

} // namespace

namespace VGPU_VARIANT {
extern const Arithmetic kArithmetic;
const Arithmetic kArithmetic = {mma, spread, spreadAcross, warpgroupRows};
} // namespace VGPU_VARIANT

} // namespace vgpu::tensor
