//===- Rotary.h - rotary position embeddings -------------------------------===//
#pragma once

#include "passes/raise/Operators.h"

namespace moec::raise {

/// x [B,S,N,D] rotated by the caches: [P,R/2] read at `positions` [B,S], or
/// [B,S,R/2] without.
Tensor rotate(Emitter &e, Tensor x, Tensor cos, Tensor sin, const std::optional<Tensor> &positions,
              bool interleaved);

} // namespace moec::raise
