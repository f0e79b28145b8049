#include "count/Counts.h"

#include "tensor/Form.h"

#include <algorithm>
#include <optional>

namespace vgpu {
namespace {

/// Multiplications and additions of one warp's instruction: 2 m n k of a shape
/// such as m16n8k16. wgmma is executed by four warps together.
uint64_t flopsOf(const ptx::Instruction &source) {
  for (const std::string &modifier : source.modifiers) {
    tensor::Form form;
    if (tensor::parseShape(modifier, form))
      return 2 * uint64_t(form.m) * form.n * form.k / (source.opcode == "wgmma" ? 4 : 1);
  }
  return 0;
}

void addInstruction(const Instruction &instruction, const InstructionCounts &counts, Counts &sum) {
  sum.warpInstructions += counts.issues;
  sum.threadInstructions += counts.lanes;
  sum.byClass[static_cast<size_t>(instruction.kind)] += counts.issues;
  sum.divergentBranches += counts.divergent;
  sum.globalRequests += counts.requests;
  sum.globalSectors += counts.sectors;
  sum.sharedWavefronts += counts.wavefronts;
  sum.bankConflicts += counts.wavefronts - counts.leastWavefronts;
  sum.bulkBytes += counts.globalBytes;
  if (instruction.kind == InstructionClass::Atomic)
    sum.atomics += counts.lanes;
  if (!instruction.source)
    return;
  bool isFence = instruction.source->opcode == "fence" || instruction.source->opcode == "membar";
  if (instruction.kind == InstructionClass::Barrier && !isFence)
    sum.barriers += counts.issues;
  if (instruction.kind == InstructionClass::Tensor)
    sum.tensorFlops += flopsOf(*instruction.source) * counts.issues;
}

struct Loop {
  size_t function, begin, end; ///< instructions [begin, end]
};

/// Loops by their backward branches.
std::vector<Loop> loopsOf(const Profile &profile) {
  std::vector<Loop> loops;
  for (size_t function = 0; function < profile.functions.size(); ++function) {
    const std::vector<Instruction> &code = profile.functions[function].first->code;
    for (size_t index = 0; index < code.size(); ++index)
      if (code[index].flow == Flow::Branch && code[index].target <= index)
        loops.push_back({function, code[index].target, index});
  }
  std::sort(loops.begin(), loops.end(),
            [](const Loop &a, const Loop &b) { return a.end - a.begin < b.end - b.begin; });
  return loops;
}

/// What makes a loop the main one: executed tensor instructions, else sectors loaded.
uint64_t weightOf(const Profile &profile, const Loop &loop, bool byTensor) {
  const auto &[function, counts] = profile.functions[loop.function];
  uint64_t weight = 0;
  for (size_t index = loop.begin; index <= loop.end; ++index) {
    InstructionClass kind = function->code[index].kind;
    if (byTensor && kind == InstructionClass::Tensor)
      weight += counts[index].issues;
    if (!byTensor && kind == InstructionClass::Load)
      weight += counts[index].sectors;
  }
  return weight;
}

/// Of the loops with the most weight, the innermost.
std::optional<Loop> mainLoop(const Profile &profile) {
  std::vector<Loop> loops = loopsOf(profile);
  for (bool byTensor : {true, false}) {
    std::optional<Loop> best;
    uint64_t most = 0;
    for (const Loop &loop : loops) {
      bool isAround = best && loop.function == best->function && loop.begin <= best->begin &&
                      loop.end >= best->end;
      uint64_t weight = isAround ? 0 : weightOf(profile, loop, byTensor);
      if (weight > most) {
        most = weight;
        best = loop;
      }
    }
    if (best)
      return best;
  }
  return std::nullopt;
}

} // namespace

void Counts::add(const Counts &other) {
  warpInstructions += other.warpInstructions;
  threadInstructions += other.threadInstructions;
  for (size_t kind = 0; kind < byClass.size(); ++kind)
    byClass[kind] += other.byClass[kind];
  divergentBranches += other.divergentBranches;
  barriers += other.barriers;
  atomics += other.atomics;
  globalRequests += other.globalRequests;
  globalSectors += other.globalSectors;
  sharedWavefronts += other.sharedWavefronts;
  bankConflicts += other.bankConflicts;
  tensorFlops += other.tensorFlops;
  bulkBytes += other.bulkBytes;
}

LaunchCounts sumOf(const std::vector<LaunchCounts> &launches) {
  LaunchCounts sum;
  sum.kernel = "total";
  for (const LaunchCounts &launch : launches) {
    sum.total.add(launch.total);
    sum.mainLoop.add(launch.mainLoop);
    sum.l2ReadBytes += launch.l2ReadBytes;
    sum.l2WrittenBytes += launch.l2WrittenBytes;
    sum.dramReadBytes += launch.dramReadBytes;
    sum.dramWriteBytes += launch.dramWriteBytes;
  }
  return sum;
}

LaunchCounts summarize(const Profile &profile) {
  LaunchCounts result;
  for (const auto &[function, counts] : profile.functions)
    for (size_t index = 0; index < counts.size(); ++index)
      addInstruction(function->code[index], counts[index], result.total);
  std::optional<Loop> loop = mainLoop(profile);
  if (!loop)
    return result;
  const auto &[function, counts] = profile.functions[loop->function];
  for (size_t index = loop->begin; index <= loop->end; ++index)
    addInstruction(function->code[index], counts[index], result.mainLoop);
  auto lineOf = [&](size_t index) {
    const ptx::Instruction *source = function->code[index].source;
    return source ? source->line : 0;
  };
  result.mainLoopBegin = lineOf(loop->begin);
  result.mainLoopEnd = lineOf(loop->end);
  return result;
}

} // namespace vgpu
