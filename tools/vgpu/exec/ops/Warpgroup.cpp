// wgmma, and what runs before every instruction of a kernel that uses it.
#include "exec/WarpgroupEngine.h"
#include "exec/ops/Async.h"

namespace vgpu::VGPU_VARIANT {
namespace {

WarpgroupEngine &engineOf(Warp &warp) { return *asynchronyOf(warp).warpgroups; }

void requireWholeWarp(LaneMask lanes) {
  if (lanes != kAllLanes)
    throw Fault(FindingKind::BarrierDivergence,
                "only " + std::to_string(std::popcount(lanes)) +
                    " of 32 lanes execute it, but it needs the whole warp");
}

uint64_t descriptor(Warp &warp, Operand operand) {
  const auto *values = warp.lanes<uint64_t>(operand);
  for (int lane = 1; lane < kWarpSize; ++lane)
    if (values[lane] != values[0])
      throw Fault(FindingKind::InvalidInstruction, "lanes disagree about a matrix descriptor",
                  lane);
  return values[0];
}

/// operands: descriptor of A, descriptor of B, whether to accumulate
Step multiply(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  requireWholeWarp(lanes);
  const auto &plan = *reinterpret_cast<const tensor::Plan *>(instruction.immediate);
  LaneMask accumulates = warp.predicate(instruction.operands[2]);
  if (accumulates && accumulates != kAllLanes)
    throw Fault(FindingKind::InvalidInstruction, "lanes disagree about scale-d");
  bool hasDescriptorA = plan.source == tensor::Source::SharedMemory;
  engineOf(warp).issue(warp, instruction, plan,
                       hasDescriptorA ? descriptor(warp, instruction.operands[0]) : 0,
                       descriptor(warp, instruction.operands[1]), accumulates != 0);
  return Step::Next;
}

Step fence(Warp &warp, const Instruction &, LaneMask lanes) {
  requireWholeWarp(lanes);
  engineOf(warp).fence(warp);
  return Step::Next;
}

Step commitGroup(Warp &warp, const Instruction &, LaneMask lanes) {
  requireWholeWarp(lanes);
  engineOf(warp).commit(warp);
  return Step::Next;
}

Step waitGroup(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  requireWholeWarp(lanes);
  bool isDone = engineOf(warp).wait(warp, static_cast<uint32_t>(instruction.immediate));
  return isDone ? Step::Next : Step::Wait;
}

Step guarded(Warp &warp, const Instruction &, LaneMask lanes) {
  const Function &function = warp.function();
  if (!engineOf(warp).before(warp, function.uses[warp.pc]))
    return Step::Wait;
  const Instruction &plain = function.code[warp.pc];
  return plain.execute(warp, plain, lanes);
}

// --- Decoding

/// m64n128k16.f32.bf16.bf16, or for integers .s32.u8.s8.
tensor::Form formOf(const Decoding &decoding) {
  tensor::Form form;
  std::vector<tensor::Format> formats;
  bool hasShape = false;
  for (const std::string &modifier : decoding.source.modifiers) {
    if (std::optional<tensor::Format> format = tensor::formatNamed(modifier))
      formats.push_back(*format);
    else if (modifier.starts_with("m64"))
      hasShape |= tensor::parseShape(modifier, form);
  }
  if (!hasShape || formats.size() != 3)
    decoding.fail("needs a shape m64nNkK and three types");
  form.d = form.c = formats[0], form.a = formats[1], form.b = formats[2];
  form.saturates = decoding.has("satfinite");
  form.isAnd = decoding.has("and");
  return form;
}

bool isNegative(const Decoding &decoding, size_t number) {
  int64_t scale = decoding.integer(number);
  if (scale != 1 && scale != -1)
    decoding.fail("a scale is 1 or -1, not " + std::to_string(scale));
  return scale < 0;
}

bool isTransposed(const Decoding &decoding, size_t number) {
  int64_t value = decoding.integer(number);
  if (value != 0 && value != 1)
    decoding.fail("a transposition is 0 or 1, not " + std::to_string(value));
  return value != 0;
}

/// scale-d and what follows it: scales of floats, transpositions of 16 bits.
void scales(Decoding &decoding, tensor::Plan &plan, bool isAInMemory) {
  size_t next = 3;
  decoding.out.operands[2] = decoding.readPredicate(decoding.operand(next++));
  if (!isInteger(plan.form.a)) {
    plan.negates = isNegative(decoding, next) != isNegative(decoding, next + 1);
    next += 2;
  }
  if (bitsOf(plan.form.a) == 16) {
    if (isAInMemory)
      plan.isAAcross = isTransposed(decoding, next++);
    plan.isBAcross = isTransposed(decoding, next++);
  }
  decoding.expectOperands(next);
}

void registers(Decoding &decoding, size_t number, int count, bool isWritten,
               std::vector<Operand> &list) {
  auto elements = decoding.elements(number);
  if (elements.size() != static_cast<size_t>(count))
    decoding.fail("operand " + std::to_string(number + 1) + " has " +
                  std::to_string(elements.size()) + " registers, but needs " +
                  std::to_string(count));
  for (const ptx::Operand *element : elements)
    list.push_back(isWritten ? decoding.write(*element, Type::B32)
                             : decoding.read(*element, Type::B32));
}

Handler selectMultiply(Decoding &decoding) {
  tensor::Plan plan;
  plan.form = formOf(decoding);
  if (std::string why = whyNoWarpgroupMma(plan.form); !why.empty())
    decoding.fail(why);
  bool isAInMemory = decoding.operand(1).kind != ptx::Operand::Kind::Vector;
  plan.source = isAInMemory ? tensor::Source::SharedMemory : tensor::Source::WarpgroupRegisters;
  std::vector<Operand> list;
  registers(decoding, 0, plan.form.registersOf(plan.form.d), true, list);
  if (isAInMemory)
    decoding.out.operands[0] = decoding.read(1, Type::B64);
  else
    registers(decoding, 1, plan.form.registersOfA(), false, list);
  decoding.out.operands[1] = decoding.read(2, Type::B64);
  scales(decoding, plan, isAInMemory);
  decoding.setList(std::move(list));
  decoding.out.immediate = reinterpret_cast<int64_t>(&tensor::keep(plan));
  return multiply;
}

Handler selectWarpgroup(Decoding &decoding) {
  usesAsynchrony(decoding, true);
  decoding.out.kind = InstructionClass::Tensor;
  if (decoding.builder.module.target != "sm_90a")
    decoding.fail("needs sm_90a, but the target is " + decoding.builder.module.target);
  if (!decoding.builder.source.isKernel)
    decoding.fail("is not supported in a function that is called");
  decoding.builder.program.traits.usesWarpgroups = true;
  if (decoding.has("fence"))
    return fence;
  if (decoding.has("commit_group"))
    return commitGroup;
  if (decoding.has("wait_group")) {
    decoding.out.immediate = decoding.integer(0);
    return waitGroup;
  }
  if (decoding.has("sp"))
    decoding.fail("sparse matrix products are not supported");
  if (!decoding.has("mma_async"))
    decoding.unsupported();
  return selectMultiply(decoding);
}

Handler selectGuard(Decoding &) { return guarded; }

} // namespace

void addWarpgroup(SelectorTable &table) {
  table["wgmma"] = selectWarpgroup;
  table[kGuard] = selectGuard;
}

} // namespace vgpu::VGPU_VARIANT
