#include "program/Requirements.h"

#include <algorithm>
#include <charconv>

namespace vgpu {
namespace {

/// Instructions of an opcode that have all of the modifiers.
struct Requirement {
  std::string_view opcode;
  std::initializer_list<std::string_view> modifiers;
  int chip;
  bool isExact; ///< only the chip's own `a` target
  int version;  ///< 10 × major + minor
};

/// From the sections "PTX ISA Notes" and "Target ISA Notes" of the PTX ISA.
const Requirement kRequirements[] = {
    {"cp", {"async"}, 80, false, 70},
    {"cp", {"async", "bulk"}, 90, false, 80},
    {"createpolicy", {}, 80, false, 74},
    {"elect", {}, 90, false, 80},
    {"fence", {"mbarrier_init"}, 90, false, 80},
    {"fence", {"proxy", "async"}, 90, false, 80},
    {"griddepcontrol", {}, 90, false, 78},
    {"ldmatrix", {}, 75, false, 65},
    {"mapa", {}, 90, false, 78},
    {"match", {}, 70, false, 60},
    {"mbarrier", {}, 80, false, 70},
    {"mbarrier", {"try_wait"}, 90, false, 78},
    {"mbarrier", {"expect_tx"}, 90, false, 80},
    {"nanosleep", {}, 70, false, 63},
    {"redux", {}, 80, false, 70},
    {"setmaxnreg", {}, 90, true, 80},
    {"stmatrix", {}, 90, false, 78},
    {"wgmma", {}, 90, true, 80},
};

bool applies(const Requirement &requirement, const ptx::Instruction &instruction) {
  return instruction.opcode == requirement.opcode &&
         std::all_of(requirement.modifiers.begin(), requirement.modifiers.end(),
                     [&](std::string_view modifier) { return instruction.has(modifier); });
}

std::string versionText(int version) {
  return std::to_string(version / 10) + "." + std::to_string(version % 10);
}

} // namespace

int chipOf(const ptx::Module &module) {
  const std::string &target = module.target;
  int chip = 0;
  if (size_t digits = target.find('_'); digits != std::string::npos)
    std::from_chars(target.data() + digits + 1, target.data() + target.size(), chip);
  return chip;
}

std::string missingFor(const ptx::Instruction &instruction, const ptx::Module &module) {
  const std::string &target = module.target;
  int chip = chipOf(module);
  for (const Requirement &needed : kRequirements) {
    if (!applies(needed, instruction))
      continue;
    bool hasChip =
        needed.isExact ? chip == needed.chip && target.back() == 'a' : chip >= needed.chip;
    if (!hasChip)
      return "needs sm_" + std::to_string(needed.chip) + (needed.isExact ? "a" : "") +
             ", but the target is " + target;
    if (module.version < needed.version)
      return "needs PTX " + versionText(needed.version) + ", but the version is " +
             versionText(module.version);
  }
  return "";
}

} // namespace vgpu
