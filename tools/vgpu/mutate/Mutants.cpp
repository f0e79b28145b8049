#include "mutate/Mutants.h"

#include "mutate/InstructionText.h"

#include <algorithm>
#include <utility>

namespace vgpu {
namespace {

using ptx::Function;
using ptx::Instruction;
using ptx::Operand;
using Instructions = std::vector<Instruction>;

std::string unsignedOf(const ptx::Register &source) {
  return ptx::sizeOf(source.type) == 8 ? "u64" : "u32";
}

constexpr uint64_t kCopiedUnit = 16; ///< bytes, of bulk copies and rows of matrices

/// The mistakes of one operator in one instruction.
class Operator {
public:
  Operator(const ptx::Module &module, const Function &kernel, size_t index,
           std::vector<Mutant> &mutants)
      : module(module), kernel(kernel), index(index), instruction(kernel.instructions[index]),
        mutants(mutants) {}

  void dropBarrier();
  void loosenWait();
  void changeBytes();
  void shiftIndex();
  void misalign();
  void dropFence();
  void swapBuffers();
  void dropPredicate();

private:
  bool is(std::string_view opcode) const { return instruction.opcode == opcode; }
  bool has(std::string_view modifier) const { return instruction.has(modifier); }
  bool isBulk() const { return is("cp") && has("async") && has("bulk"); }
  bool isCopy() const { return is("cp") && has("async") && (has("ca") || has("cg")); }
  bool isAccess() const;
  /// Bytes that an access or a copy takes together; 0 for what is neither.
  uint64_t bytesTogether() const;

  /// It makes a difference where the instruction is executed.
  Mutant &add(Mistake mistake, Instructions replacement,
              std::vector<ptx::Register> registers = {}) {
    mutants.push_back({mistake, index, std::move(replacement), std::move(registers), {mark()}, {}});
    return mutants.back();
  }
  Instruction mark() const { return with(std::string(kMark), {}, {}); }
  /// It makes a difference where the register `predicate` is true.
  Instruction markWhere(const Operand &predicate, bool isNegated = false) const {
    Instruction marked = mark();
    marked.guard = predicate.index;
    marked.isGuardNegated = isNegated;
    return marked;
  }
  /// The first register that the kernel does not have, and the ones after it.
  Operand fresh(int number = 0) const {
    Operand operand;
    operand.kind = Operand::Kind::Register;
    operand.index = static_cast<int>(kernel.registers.size()) + number;
    return operand;
  }
  Mutant &replaceModifier(Mistake mistake, std::string_view from, std::string_view to);
  Mutant &replaceOperand(Mistake mistake, size_t which, const Operand &by);
  void halve(size_t which);
  /// For a register of bytes: marks where there are some.
  void probeNonzero(Mutant &mutant, const Operand &bytes) const;
  /// Moves each address of device memory by so many bytes, one a mutant.
  void moveAddresses(Mistake mistake, int64_t bytes);
  void shiftCoordinate();
  void shiftBound(std::string_view from, std::string_view to);
  void swapShared();
  void swapParameters();

  static Operand integer(uint64_t value) {
    Operand operand;
    operand.kind = Operand::Kind::Integer;
    operand.bits = value;
    return operand;
  }
  Instruction with(std::string opcode, std::vector<std::string> modifiers,
                   std::vector<Operand> operands) const {
    Instruction result = instruction;
    result.opcode = std::move(opcode);
    result.modifiers = std::move(modifiers);
    result.operands = std::move(operands);
    return result;
  }

  const ptx::Module &module;
  const Function &kernel;
  const size_t index;
  const Instruction &instruction;
  std::vector<Mutant> &mutants;
};

Mutant &Operator::replaceModifier(Mistake mistake, std::string_view from, std::string_view to) {
  Instruction changed = instruction;
  std::replace(changed.modifiers.begin(), changed.modifiers.end(), std::string(from),
               std::string(to));
  return add(mistake, {changed});
}

Mutant &Operator::replaceOperand(Mistake mistake, size_t which, const Operand &by) {
  Instruction changed = instruction;
  changed.operands[which] = by;
  return add(mistake, {changed});
}

bool Operator::isAccess() const {
  if (has("param") || has("const") || has("local"))
    return false;
  return is("ld") || is("st") || is("atom") || is("red") || is("ldmatrix") || is("stmatrix");
}

uint64_t Operator::bytesTogether() const {
  if (isBulk() || is("ldmatrix") || is("stmatrix"))
    return kCopiedUnit;
  if (isCopy())
    return instruction.operands[2].bits;
  if (!isAccess())
    return 0;
  uint64_t bytes = 0;
  for (const std::string &modifier : instruction.modifiers)
    if (ptx::Type type = ptx::typeNamed(modifier); type != ptx::Type::None)
      bytes = ptx::sizeOf(type);
  return bytes * (has("v2") ? 2 : has("v4") ? 4 : 1);
}

void Operator::dropBarrier() {
  if ((!is("bar") && !is("barrier")) || has("red"))
    return;
  add(Mistake::DropBarrier, {});
  if (has("sync") && !has("warp"))
    add(Mistake::DropBarrier, {with("bar", {"warp", "sync"}, {integer(~uint32_t{0})})});
}

void Operator::loosenWait() {
  if (has("wait_group"))
    replaceOperand(Mistake::LoosenWait, 0, integer(instruction.operands[0].bits + 1));
  else if (has("wait_all"))
    add(Mistake::LoosenWait, {});
  else if (is("mbarrier") && (has("try_wait") || has("test_wait")))
    add(Mistake::LoosenWait,
        {with("setp", {"eq", "u32"}, {instruction.operands[0], integer(0), integer(0)})});
}

void Operator::halve(size_t which) {
  const Operand &bytes = instruction.operands[which];
  if (bytes.kind == Operand::Kind::Integer && bytes.bits > 0)
    replaceOperand(Mistake::ChangeBytes, which, integer(bytes.bits / 2));
  if (bytes.kind != Operand::Kind::Register)
    return;
  const ptx::Register &source = kernel.registers[bytes.index];
  Instruction changed = instruction;
  changed.operands[which] = fresh();
  Mutant &mutant = add(Mistake::ChangeBytes,
                       {with("shr", {unsignedOf(source)}, {fresh(), bytes, integer(1)}), changed},
                       {{"%mutated", source.type}});
  probeNonzero(mutant, bytes);
}

void Operator::probeNonzero(Mutant &mutant, const Operand &bytes) const {
  Operand differs = fresh(static_cast<int>(mutant.registers.size()));
  mutant.registers.push_back({"%differs", ptx::Type::Pred});
  std::string type = unsignedOf(kernel.registers[bytes.index]);
  mutant.probeBefore = {with("setp", {"ne", type}, {differs, bytes, integer(0)}),
                        markWhere(differs)};
}

void Operator::changeBytes() {
  if (has("expect_tx")) {
    halve(instruction.operands.size() - 1);
  } else if (isBulk() && !has("tensor") && instruction.operands.size() > 2) {
    halve(2);
  } else if (isCopy() && instruction.operands.size() > 3) {
    halve(3);
  } else if (isCopy()) { // the rest is filled with zeros
    Instruction changed = instruction;
    changed.operands.push_back(integer(instruction.operands[2].bits / 2));
    add(Mistake::ChangeBytes, {changed});
  }
}

void Operator::moveAddresses(Mistake mistake, int64_t bytes) {
  // The third address of a copy is its mbarrier.
  size_t count = std::min<size_t>(instruction.operands.size(), 2);
  for (size_t which = 0; which < count; ++which) {
    Operand moved = instruction.operands[which];
    if (moved.kind != Operand::Kind::Address || moved.elements.size() > 1)
      continue;
    moved.offset += bytes;
    // Of a source that is not read, the address does not matter.
    const Operand *read = isCopy() && which == 1 && instruction.operands.size() > 3
                              ? &instruction.operands[3]
                              : nullptr;
    if (read && read->kind == Operand::Kind::Integer && read->bits == 0)
      continue;
    Mutant &mutant = replaceOperand(mistake, which, moved);
    if (read && read->kind == Operand::Kind::Register &&
        kernel.registers[read->index].type != ptx::Type::Pred)
      probeNonzero(mutant, *read);
  }
}

/// Of a tensor's box, along its innermost dimension.
void Operator::shiftCoordinate() {
  for (size_t which = 0; which < instruction.operands.size(); ++which) {
    const Operand &address = instruction.operands[which];
    if (address.kind != Operand::Kind::Address || address.elements.size() < 2 ||
        address.elements[1].elements.empty())
      continue;
    const Operand &first = address.elements[1].elements[0];
    if (first.kind != Operand::Kind::Register)
      continue;
    Instruction changed = instruction;
    changed.operands[which].elements[1].elements[0] = fresh();
    add(Mistake::ShiftIndex, {with("add", {"s32"}, {fresh(), first, integer(1)}), changed},
        {{"%mutated", kernel.registers[first.index].type}});
  }
}

/// It makes a difference where the results are not the same.
void Operator::shiftBound(std::string_view from, std::string_view to) {
  Mutant &mutant = replaceModifier(Mistake::ShiftIndex, from, to);
  Instruction other = mutant.replacement[0];
  if (other.operands[0].second >= 0)
    return;
  other.operands[0] = fresh();
  mutant.registers = {{"%other", ptx::Type::Pred}};
  mutant.probeBefore.clear();
  mutant.probeAfter = {other, with("xor", {"pred"}, {fresh(), fresh(), instruction.operands[0]}),
                       markWhere(fresh())};
}

void Operator::shiftIndex() {
  if (uint64_t bytes = bytesTogether())
    moveAddresses(Mistake::ShiftIndex, static_cast<int64_t>(bytes));
  if (isBulk() && has("tensor"))
    shiftCoordinate();
  if (!is("setp") || instruction.modifiers.back()[0] == 'f' || has("bf16"))
    return;
  constexpr std::pair<std::string_view, std::string_view> kBounds[] = {
      {"lt", "le"}, {"le", "lt"}, {"gt", "ge"}, {"ge", "gt"},
      {"lo", "ls"}, {"ls", "lo"}, {"hi", "hs"}, {"hs", "hi"}};
  for (auto [from, to] : kBounds)
    if (has(from))
      return shiftBound(from, to);
}

void Operator::misalign() {
  uint64_t together = bytesTogether();
  if (isBulk() || isCopy() || is("ldmatrix") || is("stmatrix"))
    moveAddresses(Mistake::Misalign, static_cast<int64_t>(together / 2));
  else if (together && (has("v2") || has("v4")))
    moveAddresses(Mistake::Misalign, static_cast<int64_t>(together / (has("v2") ? 2 : 4)));
}

void Operator::dropFence() {
  if (is("fence") || is("membar") || (is("wgmma") && has("fence"))) {
    add(Mistake::DropFence, {});
    return;
  }
  for (std::string_view order : {"acquire", "release", "acq_rel"})
    if (has(order))
      replaceModifier(Mistake::DropFence, order, "relaxed");
}

void Operator::swapShared() {
  if (!is("mov") || instruction.operands.size() != 2)
    return;
  Operand other = instruction.operands[1];
  auto isOther = [&](const ptx::Variable &variable, const std::string &name) {
    return variable.space == ptx::Space::Shared && variable.name != name;
  };
  if (other.kind == Operand::Kind::Symbol) {
    const ptx::Variable *own = module.variable(instruction.operands[1].name);
    if (own && own->space == ptx::Space::Shared)
      for (const ptx::Variable &variable : module.variables)
        if (isOther(variable, own->name)) {
          other.name = variable.name;
          replaceOperand(Mistake::SwapBuffers, 1, other);
        }
  } else if (other.kind == Operand::Kind::Variable) {
    const ptx::Variable &own = kernel.variables[other.index];
    if (own.space == ptx::Space::Shared)
      for (size_t variable = 0; variable < kernel.variables.size(); ++variable)
        if (isOther(kernel.variables[variable], own.name)) {
          other.index = static_cast<int>(variable);
          replaceOperand(Mistake::SwapBuffers, 1, other);
        }
  }
}

/// The next parameter that is as large as an address.
void Operator::swapParameters() {
  if (!is("ld") || !has("param") || instruction.operands.size() != 2)
    return;
  const Operand &address = instruction.operands[1];
  size_t count = kernel.prototype.parameters.size();
  if (address.kind != Operand::Kind::Address || address.elements.size() != 1 || address.offset ||
      address.elements[0].kind != Operand::Kind::Variable ||
      static_cast<size_t>(address.elements[0].index) >= count)
    return;
  auto isAddress = [&](size_t parameter) { return kernel.variables[parameter].bytes() == 8; };
  size_t own = address.elements[0].index;
  if (!isAddress(own))
    return;
  size_t other = (own + 1) % count;
  while (!isAddress(other))
    other = (other + 1) % count;
  if (other == own)
    return;
  Operand swapped = address;
  swapped.elements[0].index = static_cast<int>(other);
  replaceOperand(Mistake::SwapBuffers, 1, swapped);
}

void Operator::swapBuffers() {
  swapShared();
  swapParameters();
}

void Operator::dropPredicate() {
  if (instruction.guard < 0)
    return;
  Instruction changed = instruction;
  changed.guard = -1;
  changed.isGuardNegated = false;
  Operand guard = fresh();
  guard.index = instruction.guard;
  Instruction marked = markWhere(guard, !instruction.isGuardNegated);
  add(Mistake::DropPredicate, {changed}).probeBefore = {marked};
}

} // namespace

std::string_view nameOf(Mistake mistake) {
  constexpr std::string_view kNames[] = {"drop-barrier", "loosen-wait",   "change-bytes",
                                         "shift-index",  "misalign",      "drop-fence",
                                         "swap-buffers", "drop-predicate"};
  return kNames[static_cast<int>(mistake)];
}

std::vector<Mutant> mutantsOf(const ptx::Module &module, const ptx::Function &kernel) {
  std::vector<Mutant> mutants;
  for (size_t index = 0; index < kernel.instructions.size(); ++index) {
    Operator apply(module, kernel, index, mutants);
    apply.dropBarrier();
    apply.loosenWait();
    apply.changeBytes();
    apply.shiftIndex();
    apply.misalign();
    apply.dropFence();
    apply.swapBuffers();
    apply.dropPredicate();
  }
  return mutants;
}

ptx::Function Mutant::applyTo(const ptx::Function &kernel) const {
  ptx::Function changed = kernel;
  std::vector<ptx::Instruction> &code = changed.instructions;
  auto place = code.erase(code.begin() + static_cast<ptrdiff_t>(index));
  code.insert(place, replacement.begin(), replacement.end());
  for (int &label : changed.labels)
    if (label > static_cast<int>(index))
      label += static_cast<int>(replacement.size()) - 1;
  changed.registers.insert(changed.registers.end(), registers.begin(), registers.end());
  return changed;
}

std::string Mutant::before(const ptx::Function &kernel) const {
  return textOf(kernel.instructions[index], kernel);
}

std::string Mutant::after(const ptx::Function &kernel) const {
  ptx::Function mutant;
  mutant.variables = kernel.variables;
  mutant.registers = kernel.registers;
  mutant.registers.insert(mutant.registers.end(), registers.begin(), registers.end());
  std::string text;
  for (const ptx::Instruction &instruction : replacement)
    text += (text.empty() ? "" : " ") + textOf(instruction, mutant);
  return text;
}

} // namespace vgpu
