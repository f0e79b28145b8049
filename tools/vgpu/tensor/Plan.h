#pragma once
// Matrix instructions, decoded. A plan lives as long as the process; equal
// instructions share one.

#include "tensor/Form.h"
#include "tensor/Numerics.h"

namespace vgpu::tensor {

struct Plan {
  Form form;
  Source source = Source::Registers; ///< of A
  bool negates = false;              ///< the product: wgmma's imm-scale-a × imm-scale-b is -1
  bool isAAcross = false, isBAcross = false; ///< wgmma: M or N runs along the rows
  // What follows is filled in by `keep`.
  SumOrder order;
  int registersOfA = 0, registersOfB = 0, registersOfD = 0;

  uint64_t operations() const {
    return 2 * static_cast<uint64_t>(form.isQuadPairs() ? 4 : 1) * form.m * form.n * form.k;
  }
};

/// Completes the plan and keeps it.
const Plan &keep(Plan plan);

} // namespace vgpu::tensor
