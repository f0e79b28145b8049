#pragma once
// Matrix products of one warp, on plain data: compiled for several instruction
// sets, which all give the same bits.

#include "tensor/Form.h"
#include "tensor/Numerics.h"

#include <span>

namespace vgpu::tensor {

/// A register of a warp: 32 words, one of each lane; 32 double words for f64.
using Register = uint32_t *;
using ConstRegister = const uint32_t *;

/// The matrix of an operand. Columns of B lie as `placeOfColumn` says.
enum class Side : uint8_t { A, B };

/// Words from one k of B to the next. Were they a power of two, a few columns of many k
/// would all want the same places of a cache.
constexpr int strideOfB(int n) { return n % 64 ? n : n + 16; }

/// Of a wgmma: a is k × 16 and b is k × strideOfB(n), as `spread` makes them; of b1, in
/// words.
struct Factors {
  const uint32_t *a, *b;
};
constexpr int kMostFactors = 4;

struct Arithmetic {
  /// mma.sync. The arrays hold the registers that `form` counts.
  void (*mma)(const Form &form, const SumOrder &order, const ConstRegister *a,
              const ConstRegister *b, const ConstRegister *c, const Register *d);

  /// Unpacks 8 rows of A, or columns of B, of 16 bytes, given as the words 4 × row +
  /// word: element e of a row goes to out[order.step[first + e] × stride + row]. Float
  /// formats become f32, integers s32 (b1: words as they are).
  void (*spread)(Side side, Format format, const uint32_t *words, const SumOrder &order, int first,
                 uint32_t *out, int stride);
  /// Unpacks rows that run across k: element e of row r goes to
  /// out[order.step[first + r] × stride + e]. 16-bit formats only.
  void (*spreadAcross)(Side side, Format format, const uint32_t *words, const SumOrder &order,
                       int first, uint32_t *out, int stride);

  /// The 16 rows of a warp in some wgmmas, one after the other: accumulators += a × b,
  /// or at first = a × b. At most kMostFactors.
  void (*warpgroupRows)(const Form &form, const SumOrder &order, bool accumulates,
                        std::span<const Factors> factors, const Register *accumulators);
};

/// For the best instruction set that this processor has.
const Arithmetic &arithmetic();
/// All that this processor can run, the plainest first: for tests.
const Arithmetic *const *everyArithmetic(int &count);

} // namespace vgpu::tensor
