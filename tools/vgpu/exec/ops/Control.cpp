// Branches, calls and leaving.
#include "exec/Builtins.h"
#include "exec/ops/Families.h"
#include "exec/ops/Lanes.h"

namespace vgpu::VGPU_VARIANT {
namespace {

using ptx::Type;
using Kind = ptx::Operand::Kind;

Step branch(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  warp.branch(lanes, instruction.target, instruction.reconvergence);
  return Step::Jump;
}

Handler selectBranch(Decoding &decoding) {
  decoding.expectOperands(1);
  if (decoding.operand(0).kind != Kind::Label)
    decoding.fail("'" + decoding.operand(0).name + "' is no label");
  decoding.out.kind = InstructionClass::Control;
  decoding.out.flow = Flow::Branch;
  decoding.out.target = static_cast<uint32_t>(decoding.operand(0).index);
  return branch;
}

/// brx.idx: the lanes that agree with the first go; the others come again.
Step indexedBranch(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const uint32_t *indices = warp.lanes<uint32_t>(instruction.operands[0]);
  const std::vector<uint32_t> &table = warp.function().branchTables[instruction.target];
  uint32_t index = indices[std::countr_zero(lanes)];
  if (index >= table.size())
    throw Fault(FindingKind::InvalidInstruction,
                "index " + std::to_string(index) + " of " + std::to_string(table.size()) +
                    " targets",
                std::countr_zero(lanes));
  LaneMask same = 0;
  forLanes(lanes, [&](int lane) { same |= LaneMask{indices[lane] == index} << lane; });
  warp.branchApart(same, table[index], instruction.reconvergence);
  return Step::Jump;
}

Handler selectIndexedBranch(Decoding &decoding) {
  decoding.expectOperands(2);
  decoding.out.kind = InstructionClass::Control;
  decoding.out.flow = Flow::IndexedBranch;
  auto targets = decoding.builder.source.branchTargets.find(decoding.operand(1).name);
  if (targets == decoding.builder.source.branchTargets.end())
    decoding.fail("'" + decoding.operand(1).name + "' names no branch targets");
  decoding.out.operands[0] = decoding.read(0, Type::U32);
  decoding.out.target = decoding.builder.branchTable(targets->second);
  return indexedBranch;
}

Step returning(Warp &warp, const Instruction &, LaneMask lanes) {
  warp.returnFromCall(lanes);
  return Step::Jump;
}

Handler selectReturn(Decoding &decoding) {
  decoding.out.kind = InstructionClass::Control;
  decoding.out.flow = Flow::Return;
  return returning;
}

Step leaving(Warp &warp, const Instruction &, LaneMask lanes) {
  warp.exit(lanes);
  return Step::Jump;
}

Handler selectExit(Decoding &decoding) {
  decoding.out.kind = InstructionClass::Control;
  decoding.out.flow = Flow::Exit;
  return leaving;
}

Step trapping(Warp &, const Instruction &, LaneMask lanes) {
  throw Fault(FindingKind::Trap, "the kernel traps", std::countr_zero(lanes));
}

Handler selectTrap(Decoding &decoding) {
  decoding.out.kind = InstructionClass::Control;
  decoding.out.flow = Flow::Exit;
  return trapping;
}

// --- Calls. The list holds results, then arguments.

Step call(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const Program &program = *warp.block.launch.program;
  warp.call(instruction, *program.functions[instruction.target], lanes);
  return Step::Jump;
}

/// Lanes may mean different functions: those that agree with the first go.
Step indirectCall(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const uint64_t *addresses = warp.lanes<uint64_t>(instruction.operands[0]);
  uint64_t address = addresses[std::countr_zero(lanes)];
  LaneMask same = 0;
  forLanes(lanes, [&](int lane) { same |= LaneMask{addresses[lane] == address} << lane; });
  for (const auto &function : warp.block.launch.program->functions) {
    if (function->address != address)
      continue;
    if (function->results.size() + function->parameters.size() != instruction.listCount)
      throw Fault(FindingKind::InvalidInstruction,
                  "calls " + function->source->name + " with " +
                      std::to_string(instruction.listCount) + " parameters and results",
                  std::countr_zero(lanes));
    warp.call(instruction, *function, same);
    return Step::Jump;
  }
  throw Fault(FindingKind::InvalidInstruction, "calls what is no function", std::countr_zero(lanes),
              address);
}

Step builtinCall(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  callBuiltin(static_cast<Builtin>(instruction.target), warp, instruction, lanes);
  return Step::Next;
}

void actualList(Decoding &decoding, const ptx::Operand *operand,
                const std::vector<ptx::Variable> &formals, bool isResult,
                std::vector<Operand> &list) {
  size_t count = operand ? operand->elements.size() : 0;
  if (count != formals.size())
    decoding.fail("passes " + std::to_string(count) + " values where " +
                  std::to_string(formals.size()) + " are declared");
  for (size_t number = 0; number < count; ++number) {
    const ptx::Operand &actual = operand->elements[number];
    if (actual.kind == Kind::Variable)
      list.push_back({decoding.builder.parameterWord(actual.index)});
    else if (formals[number].reg < 0)
      decoding.fail("passes a register to a parameter in memory, which is not supported");
    else
      list.push_back(isResult ? decoding.write(actual, formals[number].type)
                              : decoding.read(actual, formals[number].type));
  }
}

Handler selectCall(Decoding &decoding) {
  decoding.out.kind = InstructionClass::Control;
  decoding.builder.program.traits.callsFunctions = true;
  const std::vector<ptx::Operand> &operands = decoding.source.operands;
  size_t next = 0;
  const ptx::Operand *results = nullptr, *arguments = nullptr;
  if (!operands.empty() && operands[0].kind == Kind::List)
    results = &operands[next++];
  const ptx::Operand &callee = decoding.operand(next++);
  if (next < operands.size() && operands[next].kind == Kind::List)
    arguments = &operands[next++];
  bool isIndirect = callee.kind == Kind::Register;
  const ptx::Prototype *prototype = nullptr;
  if (isIndirect) {
    const auto &known = decoding.builder.source.callPrototypes;
    auto entry = next < operands.size() ? known.find(operands[next].name) : known.end();
    if (entry == known.end())
      decoding.fail("an indirect call needs the name of a .callprototype");
    prototype = &entry->second;
    decoding.out.operands[0] = decoding.read(callee, Type::U64);
  } else {
    const ptx::Function *function = decoding.builder.module.function(callee.name);
    if (!function)
      decoding.fail("unknown function '" + callee.name + "'");
    prototype = &function->prototype;
  }
  std::vector<Operand> list;
  actualList(decoding, results, prototype->results, true, list);
  actualList(decoding, arguments, prototype->parameters, false, list);
  decoding.setList(std::move(list));
  if (isIndirect)
    return indirectCall;
  auto known = decoding.builder.symbols.functions.find(callee.name);
  if (known != decoding.builder.symbols.functions.end()) {
    decoding.out.target = known->second;
    return call;
  }
  std::optional<Builtin> builtin = builtinNamed(callee.name);
  if (!builtin)
    decoding.fail("function '" + callee.name + "' has no body");
  decoding.out.target = static_cast<uint32_t>(*builtin);
  return builtinCall;
}

Step pause(Warp &warp, const Instruction &, LaneMask) {
  warp.yield(~0u);
  return Step::Next;
}

Step nothing(Warp &, const Instruction &, LaneMask) { return Step::Next; }

Handler selectPause(Decoding &decoding) {
  decoding.out.kind = InstructionClass::Control;
  return pause;
}

Handler selectNothing(Decoding &decoding) {
  decoding.out.kind = InstructionClass::Control;
  return nothing;
}

} // namespace

void addControl(SelectorTable &table) {
  table["bra"] = selectBranch;
  table["brx"] = selectIndexedBranch;
  table["call"] = selectCall;
  table["ret"] = selectReturn;
  table["exit"] = selectExit;
  table["trap"] = selectTrap;
  table["brkpt"] = selectNothing;
  table["nanosleep"] = selectPause;
  table["pmevent"] = selectNothing;
  table["setmaxnreg"] = selectNothing;
  // Without programmatic dependent launch, a kernel starts when those before it are done.
  table["griddepcontrol"] = selectNothing;
}

} // namespace vgpu::VGPU_VARIANT
