#pragma once
// Loops over the lanes of a warp. The sources of this folder are compiled more
// than once, for different instruction sets; everything that touches lanes is
// in unnamed namespaces, so that the copies stay apart.

#include "exec/Block.h"
#include "program/Decoding.h"

#include <bit>
#include <type_traits>

#ifndef VGPU_VARIANT
#define VGPU_VARIANT baseline
#endif

/// Lanes of different registers never overlap partly, so lanes are independent.
#if defined(__clang__)
#define VGPU_LANES _Pragma("clang loop vectorize(assume_safety) unroll(disable)")
#else
#define VGPU_LANES _Pragma("GCC ivdep")
#endif

namespace vgpu::VGPU_VARIANT {
namespace {

/// How a value of type T lies in a lane: in 64 bits, or zero-extended to 32.
template <class T> struct Lane {
  using Storage = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;
  using Bits =
      std::conditional_t<sizeof(T) == 8, uint64_t,
                         std::conditional_t<sizeof(T) == 4, uint32_t,
                                            std::conditional_t<sizeof(T) == 2, uint16_t, uint8_t>>>;
  static T get(Storage stored) { return std::bit_cast<T>(static_cast<Bits>(stored)); }
  static Storage put(T value) { return std::bit_cast<Bits>(value); }
};

template <class T> using Storage = typename Lane<T>::Storage;

/// to[lane] = compute(lane) for the lanes of the mask. The others are computed
/// too, so `compute` must be total. `to` may be one of the sources: a few lanes
/// at a time are computed before they are written, which tells the compiler so.
template <class S, class Compute>
[[gnu::always_inline]] inline void eachLane(S *to, LaneMask lanes, Compute compute) {
  constexpr int kTogether = 8;
  if (lanes == kAllLanes) [[likely]] {
#pragma clang loop unroll(full)
    for (int first = 0; first < kWarpSize; first += kTogether) {
      S result[kTogether];
      VGPU_LANES
      for (int lane = 0; lane < kTogether; ++lane)
        result[lane] = compute(first + lane);
      std::memcpy(to + first, result, sizeof result);
    }
    return;
  }
  S result[kWarpSize];
  VGPU_LANES
  for (int lane = 0; lane < kWarpSize; ++lane)
    result[lane] = lanes >> lane & 1 ? compute(lane) : to[lane];
  std::memcpy(to, result, sizeof result);
}

/// A mask of the lanes for which `holds(lane)`.
template <class Holds> [[gnu::always_inline]] inline LaneMask maskOf(Holds holds) {
  LaneMask mask = 0;
  VGPU_LANES
  for (int lane = 0; lane < kWarpSize; ++lane)
    mask |= LaneMask{holds(lane)} << lane;
  return mask;
}

/// Calls `visit(lane)` for each lane of the mask, in order.
template <class Visit> [[gnu::always_inline]] inline void forLanes(LaneMask lanes, Visit visit) {
  if (lanes == kAllLanes) {
    for (int lane = 0; lane < kWarpSize; ++lane)
      visit(lane);
    return;
  }
  for (; lanes; lanes &= lanes - 1)
    visit(std::countr_zero(lanes));
}

/// Handlers from functions of values: D = function(A), D = function(A, B), …
template <auto function, class D, class A>
Step unary(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  auto *to = warp.lanes<Storage<D>>(instruction.operands[0]);
  const auto *a = warp.lanes<Storage<A>>(instruction.operands[1]);
  eachLane(to, lanes, [=](int lane) { return Lane<D>::put(function(Lane<A>::get(a[lane]))); });
  return Step::Next;
}

template <auto function, class D, class A, class B = A>
Step binary(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  auto *to = warp.lanes<Storage<D>>(instruction.operands[0]);
  const auto *a = warp.lanes<Storage<A>>(instruction.operands[1]);
  const auto *b = warp.lanes<Storage<B>>(instruction.operands[2]);
  eachLane(to, lanes, [=](int lane) {
    return Lane<D>::put(function(Lane<A>::get(a[lane]), Lane<B>::get(b[lane])));
  });
  return Step::Next;
}

template <auto function, class D, class A, class B = A, class C = A>
Step ternary(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  auto *to = warp.lanes<Storage<D>>(instruction.operands[0]);
  const auto *a = warp.lanes<Storage<A>>(instruction.operands[1]);
  const auto *b = warp.lanes<Storage<B>>(instruction.operands[2]);
  const auto *c = warp.lanes<Storage<C>>(instruction.operands[3]);
  eachLane(to, lanes, [=](int lane) {
    return Lane<D>::put(
        function(Lane<A>::get(a[lane]), Lane<B>::get(b[lane]), Lane<C>::get(c[lane])));
  });
  return Step::Next;
}

/// Operands of one type: the destination, then `sources` sources.
inline void plainOperands(Decoding &decoding, size_t sources, ptx::Type type) {
  decoding.expectOperands(sources + 1);
  decoding.out.type = type;
  decoding.out.operands[0] = decoding.write(0, type);
  for (size_t source = 1; source <= sources; ++source)
    decoding.out.operands[source] = decoding.read(source, type);
}

} // namespace
} // namespace vgpu::VGPU_VARIANT
