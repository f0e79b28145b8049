#pragma once
// The shapes and types that mma.sync and wgmma know.

#include "tensor/Format.h"

#include <string>
#include <string_view>

namespace vgpu::tensor {

/// D = A × B + C, with A of m × k and B of k × n.
struct Form {
  int m = 0, n = 0, k = 0;
  Format d = Format::F32, a = Format::F16, b = Format::F16, c = Format::F32;
  bool isARowMajor = true, isBRowMajor = false; ///< only m8n8k4 of f16 has a choice
  bool saturates = false;                       ///< integers: .satfinite
  bool isAnd = false;                           ///< b1: .and.popc rather than .xor.popc

  /// Volta's shape: a product of each quad pair.
  bool isQuadPairs() const { return m == 8 && a == Format::F16; }
  /// Registers of a lane; of f64, 64-bit ones.
  int registersOfA() const;
  int registersOfB() const;
  int registersOf(Format accumulator) const; ///< of C or D
};

/// Sets m, n and k from "m16n8k16"; false if the text has another form.
bool parseShape(std::string_view text, Form &form);

/// Why mma.sync has no such form, or empty.
std::string whyNoMma(const Form &form);
/// The same for wgmma.
std::string whyNoWarpgroupMma(const Form &form);

/// The first compute capability, and the first version of PTX as 10 × major + minor,
/// where mma.sync has a form.
struct Origin {
  int chip, version;
};
Origin originOf(const Form &form);

} // namespace vgpu::tensor
