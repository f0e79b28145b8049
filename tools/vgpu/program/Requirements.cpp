#include "program/Requirements.h"

#include <algorithm>
#include <charconv>

namespace vgpu {
namespace {

using Words = std::initializer_list<std::string_view>;

/// Instructions of one of the opcodes (of any, if there are none) that have all of the
/// modifiers and one of the alternatives. "a.b" is a modifier that follows another.
struct Requirement {
  Words opcodes, modifiers, alternatives;
  Since since;
};

constexpr Words kBf16 = {"bf16", "bf16x2"}, kF16 = {"f16", "f16x2"};

/// From the sections "PTX ISA Notes" and "Target ISA Notes" of the PTX ISA.
const Requirement kRequirements[] = {
    // Integers
    {{"add", "min", "max"}, {}, {"u16x2", "s16x2"}, {90, 80}},
    {{"min", "max"}, {"relu"}, {}, {90, 80}},
    {{"bmsk", "szext"}, {}, {}, {70, 76}},
    {{"lop3"}, {}, {"and", "or"}, {70, 82}},
    // Floating-point numbers
    {{"fma"}, {"relu"}, {}, {80, 70}},
    {{"fma"}, {"oob"}, {}, {90, 81}},
    {{"fma", "neg", "abs", "min", "max"}, {}, kBf16, {80, 70}},
    {{"add", "sub", "mul", "set", "setp", "tanh", "ex2"}, {}, kBf16, {90, 78}},
    {{"abs"}, {}, kF16, {70, 65}},
    {{"min", "max"}, {}, kF16, {80, 70}},
    {{"min", "max"}, {"NaN"}, {}, {80, 70}},
    {{"min", "max"}, {"xorsign"}, {}, {86, 72}},
    {{"tanh"}, {}, {}, {75, 70}},
    {{"ex2"}, {}, kF16, {75, 70}},
    // Conversions
    {{"cvt"}, {}, {"bf16", "bf16x2", "tf32", "f16x2", "relu"}, {80, 70}},
    {{"cvt"}, {"f32.bf16"}, {}, {80, 71}},
    {{"cvt"}, {"tf32"}, {"rn", "rz"}, {90, 78}},
    {{"cvt"}, {}, {"bf16.bf16", "bf16.f16", "bf16.f64", "f16.bf16", "f64.bf16"}, {90, 78}},
    {{"cvt"}, {}, {"bf16.s8", "bf16.s16", "bf16.s32", "bf16.s64"}, {90, 78}},
    {{"cvt"}, {}, {"bf16.u8", "bf16.u16", "bf16.u32", "bf16.u64"}, {90, 78}},
    {{"cvt"}, {}, {"s8.bf16", "s16.bf16", "s32.bf16", "s64.bf16"}, {90, 78}},
    {{"cvt"}, {}, {"u8.bf16", "u16.bf16", "u32.bf16", "u64.bf16"}, {90, 78}},
    {{"cvt"}, {"satfinite"}, {}, {70, 81}},
    {{"cvt"}, {}, {"e4m3x2", "e5m2x2"}, {89, 81}},
    {{"cvt"}, {"pack"}, {}, {72, 65}},
    // Warps and blocks
    {{"activemask"}, {}, {}, {30, 62}},
    {{"match"}, {}, {}, {70, 60}},
    {{"nanosleep"}, {}, {}, {70, 63}},
    {{"redux"}, {}, {}, {80, 70}},
    {{"elect"}, {}, {}, {90, 80}},
    {{"bar", "barrier"}, {"cta"}, {}, {30, 78}},
    {{"barrier"}, {"cluster"}, {}, {90, 78}},
    {{"barrier"}, {"cluster"}, {"acquire", "release", "relaxed"}, {90, 80}},
    {{"griddepcontrol"}, {}, {}, {90, 78}},
    {{"setmaxnreg"}, {}, {}, {90, 80, true}},
    // Addresses and spaces
    {{}, {"shared::cta"}, {}, {30, 78}},
    {{}, {"shared::cluster"}, {}, {90, 78}},
    {{}, {}, {"param::entry", "param::func"}, {20, 83}},
    {{"cvta", "isspacep"}, {}, {"param", "param::entry"}, {70, 77}},
    {{"mapa", "getctarank"}, {}, {}, {90, 78}},
    // Loads and stores, and what becomes of the caches
    {{"ld", "st", "atom", "red", "fence"}, {"cluster"}, {}, {90, 78}},
    {{"ld", "st"}, {"mmio"}, {}, {70, 82}},
    {{"ld", "st", "mov"}, {"b128"}, {}, {70, 83}},
    {{"ld", "st"}, {}, {"L1::evict_normal", "L1::evict_unchanged", "L1::evict_first"}, {70, 74}},
    {{"ld", "st"}, {}, {"L1::evict_last", "L1::no_allocate"}, {70, 74}},
    {{"ld", "cp"}, {}, {"L2::64B", "L2::128B"}, {75, 74}},
    {{"ld", "cp"}, {"L2::256B"}, {}, {80, 74}},
    {{}, {"L2::cache_hint"}, {}, {80, 74}},
    {{"prefetch"}, {}, {"L2::evict_last", "L2::evict_normal"}, {80, 74}},
    {{"prefetch"}, {"tensormap"}, {}, {90, 80}},
    {{"discard", "applypriority", "createpolicy"}, {}, {}, {80, 74}},
    // Atomic operations
    {{"atom"}, {"cas", "b16"}, {}, {70, 63}},
    {{"atom", "red"}, {"f16"}, {}, {70, 63}},
    {{"atom", "red"}, {}, kBf16, {90, 78}},
    {{"atom", "red"}, {}, {"v2", "v4", "v8"}, {90, 81}},
    {{"atom"}, {"b128"}, {}, {90, 83}},
    // Asynchronous operations
    {{"cp"}, {"async"}, {}, {80, 70}},
    {{"cp"}, {"async", "bulk"}, {}, {90, 80}},
    {{"cp"}, {"async", "bulk", "shared::cta.global"}, {}, {90, 86}},
    {{"st", "red"}, {"async"}, {}, {90, 81}},
    {{"tensormap"}, {}, {}, {90, 83}},
    {{"tensormap"}, {"replace"}, {}, {90, 83, true}},
    {{"fence"}, {"proxy", "alias"}, {}, {70, 75}},
    {{"fence"}, {"proxy", "async"}, {}, {90, 80}},
    {{"fence"}, {"proxy", "tensormap::generic"}, {}, {90, 83}},
    {{"fence"}, {"mbarrier_init"}, {}, {90, 80}},
    {{"fence"}, {}, {"sync_restrict::shared::cta", "sync_restrict::shared::cluster"}, {90, 86}},
    {{"mbarrier"}, {}, {}, {80, 70}},
    {{"mbarrier"}, {"parity"}, {}, {80, 71}},
    {{"mbarrier"}, {"test_wait", "acquire"}, {}, {80, 80}},
    {{"mbarrier"}, {"try_wait"}, {}, {90, 78}},
    {{"mbarrier"}, {"try_wait", "acquire"}, {}, {90, 80}},
    {{"mbarrier"}, {}, {"expect_tx", "complete_tx", "release"}, {90, 80}},
    {{"mbarrier"}, {"relaxed"}, {"arrive", "arrive_drop", "test_wait", "try_wait"}, {90, 86}},
    // Matrices; the shapes of mma have their own in tensor/Form.cpp
    {{"ldmatrix"}, {}, {}, {75, 65}},
    {{"movmatrix"}, {}, {}, {75, 78}},
    {{"stmatrix"}, {}, {}, {90, 78}},
    {{"wgmma"}, {}, {}, {90, 80, true}},
};

/// Registers whose names begin like this.
constexpr std::pair<std::string_view, Since> kSpecialRegisters[] = {
    {"%clusterid", {90, 78}},          {"%nclusterid", {90, 78}},
    {"%cluster_", {90, 78}},           {"%is_explicit_cluster", {90, 78}},
    {"%aggr_smem_size", {90, 81}},     {"%reserved_smem_offset_", {80, 76}},
    {"%current_graph_exec", {50, 80}},
};

/// The version of PTX that has a target at all.
constexpr std::pair<int, int> kTargets[] = {{70, 60}, {72, 61}, {75, 63}, {80, 70},
                                            {86, 71}, {87, 74}, {89, 78}, {90, 78}};

/// The number of a module's target: of "sm_90a", 90.
int chipOf(const ptx::Module &module) {
  const std::string &target = module.target;
  int chip = 0;
  if (size_t digits = target.find('_'); digits != std::string::npos)
    std::from_chars(target.data() + digits + 1, target.data() + target.size(), chip);
  return chip;
}

bool hasModifier(const ptx::Instruction &instruction, std::string_view wanted) {
  size_t dot = wanted.find('.');
  if (dot == std::string_view::npos)
    return instruction.has(wanted);
  const std::vector<std::string> &all = instruction.modifiers;
  for (size_t next = 1; next < all.size(); ++next)
    if (all[next - 1] == wanted.substr(0, dot) && all[next] == wanted.substr(dot + 1))
      return true;
  return false;
}

bool applies(const Requirement &requirement, const ptx::Instruction &instruction) {
  auto has = [&](std::string_view modifier) { return hasModifier(instruction, modifier); };
  auto [opcodes, modifiers, alternatives, since] = requirement;
  bool isOpcode = opcodes.size() == 0 ||
                  std::find(opcodes.begin(), opcodes.end(), instruction.opcode) != opcodes.end();
  return isOpcode && std::all_of(modifiers.begin(), modifiers.end(), has) &&
         (alternatives.size() == 0 || std::any_of(alternatives.begin(), alternatives.end(), has));
}

Since strictest(const Since &a, const Since &b) {
  return {std::max(a.chip, b.chip), std::max(a.version, b.version), a.isExact || b.isExact};
}

Since neededFor(const ptx::Instruction &instruction) {
  Since needed;
  for (const Requirement &requirement : kRequirements)
    if (applies(requirement, instruction))
      needed = strictest(needed, requirement.since);
  for (const ptx::Operand &operand : instruction.operands)
    if (operand.kind == ptx::Operand::Kind::Special)
      for (const auto &[name, since] : kSpecialRegisters)
        if (operand.name.starts_with(name))
          needed = strictest(needed, since);
  return needed;
}

std::string versionText(int version) {
  return std::to_string(version / 10) + "." + std::to_string(version % 10);
}

std::string missingVersion(int needed, const ptx::Module &module) {
  if (module.version >= needed)
    return "";
  return "needs PTX " + versionText(needed) + ", but the version is " + versionText(module.version);
}

} // namespace

std::string missingFor(const Since &needed, const ptx::Module &module) {
  const std::string &target = module.target;
  int chip = chipOf(module);
  bool hasChip = needed.isExact ? chip == needed.chip && target.back() == 'a' : chip >= needed.chip;
  if (!hasChip)
    return "needs sm_" + std::to_string(needed.chip) + (needed.isExact ? "a" : "") +
           ", but the target is " + target;
  return missingVersion(needed.version, module);
}

std::string missingFor(const ptx::Instruction &instruction, const ptx::Module &module) {
  return missingFor(neededFor(instruction), module);
}

std::string missingForTarget(const ptx::Module &module) {
  int needed = module.target.ends_with('a') ? 80 : 0;
  for (auto [chip, version] : kTargets)
    if (chipOf(module) >= chip)
      needed = std::max(needed, version);
  return missingVersion(needed, module);
}

} // namespace vgpu
