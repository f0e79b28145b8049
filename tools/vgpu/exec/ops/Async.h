#pragma once
// What the families of asynchronous instructions share.

#include "exec/Asynchrony.h"
#include "exec/ops/Families.h"
#include "exec/ops/Lanes.h"
#include "program/Requirements.h"

namespace vgpu::VGPU_VARIANT {

/// fence.proxy.tensormap.
Handler selectTensorMapFence(Decoding &decoding);

/// cp.async.bulk, with and without .tensor, and cp.reduce.async.bulk.
Handler selectBulk(Decoding &decoding);

namespace {

using ptx::Type;

inline Asynchrony &asynchronyOf(Warp &warp) { return *warp.block.asynchrony; }

inline void usesAsynchrony(Decoding &decoding, bool usesProxy) {
  decoding.out.kind = InstructionClass::Asynchronous;
  decoding.builder.program.traits.usesAsynchrony = true;
  if (usesProxy)
    decoding.builder.program.traits.usesAsyncProxy = true;
}

/// What only some operands of an instruction need, of the module.
inline void require(const Decoding &decoding, const Since &needed) {
  if (std::string missing = missingFor(needed, decoding.builder.module); !missing.empty())
    decoding.fail(missing);
}

inline Step sumAddress(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  auto *to = warp.lanes<uint64_t>(instruction.operands[0]);
  auto offset = static_cast<uint64_t>(instruction.immediate);
  if (instruction.memory.isAddress32) {
    const auto *base = warp.lanes<uint32_t>(instruction.operands[1]);
    eachLane(to, lanes, [=](int lane) { return uint64_t{uint32_t(base[lane] + offset)}; });
  } else {
    const auto *base = warp.lanes<uint64_t>(instruction.operands[1]);
    eachLane(to, lanes, [=](int lane) { return base[lane] + offset; });
  }
  return Step::Next;
}

/// An address with its offset as 64 bits in a register of its own, for
/// instructions with several addresses.
inline Operand addressOperand(Decoding &decoding, const ptx::Operand &address) {
  if (address.kind != ptx::Operand::Kind::Address)
    decoding.fail("an operand is no address");
  Instruction helper;
  helper.execute = sumAddress;
  helper.source = &decoding.source;
  helper.kind = InstructionClass::Integer;
  helper.immediate = address.offset;
  const ptx::Operand &base = address.elements.at(0);
  helper.memory.isAddress32 = decoding.bytesOf(base, Type::U64) == 4;
  helper.operands[0] = decoding.builder.scratch(Type::U64);
  helper.operands[1] = decoding.read(base, helper.memory.isAddress32 ? Type::U32 : Type::U64);
  decoding.builder.emit(helper);
  return helper.operands[0];
}

/// The plain address of `bytes` of shared memory, which a lane gives with its
/// window or without.
inline uint32_t sharedAddress(const Block &block, int lane, uint64_t address, uint32_t bytes) {
  uint64_t window = address & kWindowMask, plain = address & ~kWindowMask;
  if ((window != 0 && window != kSharedWindow) || !block.inShared(plain, bytes))
    throw Fault(FindingKind::OutOfBounds,
                "needs " + std::to_string(bytes) + " bytes of the block's shared memory", lane,
                address);
  return static_cast<uint32_t>(plain);
}

} // namespace
} // namespace vgpu::VGPU_VARIANT
