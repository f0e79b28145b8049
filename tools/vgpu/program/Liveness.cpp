#include "program/Liveness.h"

#include "program/RegisterUse.h"

#include <algorithm>
#include <numeric>

namespace vgpu {
namespace {

using Set = std::vector<uint64_t>;

bool contains(const Set &set, size_t element) { return set[element / 64] >> element % 64 & 1; }
void insert(Set &set, size_t element) { set[element / 64] |= uint64_t{1} << element % 64; }

/// Data flow over basic blocks: what is live where one begins is what it reads before it
/// writes it, and what is live at its end and not written in it.
class Liveness {
public:
  explicit Liveness(const ptx::Function &function) : function(function) {
    std::vector<int32_t> numbers(function.registers.size());
    std::iota(numbers.begin(), numbers.end(), 0);
    for (const ptx::Instruction &instruction : function.instructions)
      uses.push_back(registerUse(instruction, function, numbers));
    findBlocks();
    while (spread()) {
    }
  }

  std::vector<LiveRange> ranges() const {
    std::vector<LiveRange> ranges(function.registers.size());
    for (uint32_t number = 0; number < uses.size(); ++number)
      for (const std::vector<int32_t> *mentioned : {&uses[number].reads, &uses[number].writes})
        for (int32_t index : *mentioned)
          ranges[index].add(number);
    for (const Block &block : blocks)
      for (size_t index = 0; index < ranges.size(); ++index) {
        if (contains(block.liveIn, index))
          ranges[index].add(block.begin);
        if (contains(block.liveOut, index))
          ranges[index].add(block.end - 1);
      }
    return ranges;
  }

private:
  struct Block {
    uint32_t begin, end;
    std::vector<uint32_t> successors;
    Set written, liveIn, liveOut;
  };

  /// The instructions that may follow a branch; none for what is no branch.
  std::vector<uint32_t> targets(const ptx::Instruction &instruction) const {
    std::vector<uint32_t> targets;
    if (instruction.opcode == "bra")
      for (const ptx::Operand &operand : instruction.operands)
        if (operand.kind == ptx::Operand::Kind::Label)
          targets.push_back(function.labels[operand.index]);
    if (instruction.opcode == "brx")
      for (const auto &[name, labels] : function.branchTargets)
        for (int label : labels)
          targets.push_back(function.labels[label]);
    return targets;
  }

  static bool endsBlock(const ptx::Instruction &instruction) {
    return instruction.opcode == "bra" || instruction.opcode == "brx" || leaves(instruction);
  }
  static bool leaves(const ptx::Instruction &instruction) {
    return instruction.opcode == "ret" || instruction.opcode == "exit";
  }

  void findBlocks() {
    auto count = static_cast<uint32_t>(uses.size());
    std::vector<bool> isLeader(count + 1, false);
    isLeader[0] = isLeader[count] = true;
    for (uint32_t number = 0; number < count; ++number) {
      const ptx::Instruction &instruction = function.instructions[number];
      for (uint32_t target : targets(instruction))
        isLeader[target] = true;
      if (endsBlock(instruction))
        isLeader[number + 1] = true;
    }
    std::vector<uint32_t> blockOf(count + 1);
    for (uint32_t number = 0; number < count; ++number) {
      if (isLeader[number])
        blocks.push_back({number, number, {}, {}, {}, {}});
      blocks.back().end = number + 1;
      blockOf[number] = static_cast<uint32_t>(blocks.size()) - 1;
    }
    blockOf[count] = static_cast<uint32_t>(blocks.size()); // falls off the end, which leaves
    for (Block &block : blocks) {
      const ptx::Instruction &last = function.instructions[block.end - 1];
      for (uint32_t target : targets(last))
        block.successors.push_back(blockOf[target]);
      if (!endsBlock(last) || last.guard >= 0)
        block.successors.push_back(blockOf[block.end]);
      std::erase(block.successors, blockOf[count]);
      summarize(block);
    }
  }

  /// A guarded write may leave what was there.
  void summarize(Block &block) {
    size_t words = (function.registers.size() + 63) / 64;
    block.written.resize(words), block.liveIn.resize(words), block.liveOut.resize(words);
    for (uint32_t number = block.begin; number < block.end; ++number) {
      for (int32_t index : uses[number].reads)
        if (!contains(block.written, index))
          insert(block.liveIn, index);
      if (function.instructions[number].guard < 0)
        for (int32_t index : uses[number].writes)
          insert(block.written, index);
    }
  }

  /// From blocks to those before them. Whether anything was new.
  bool spread() {
    bool isNew = false;
    for (size_t number = blocks.size(); number-- > 0;) {
      Block &block = blocks[number];
      for (uint32_t successor : block.successors)
        for (size_t word = 0; word < block.liveOut.size(); ++word) {
          block.liveOut[word] |= blocks[successor].liveIn[word];
          uint64_t all = block.liveIn[word] | (block.liveOut[word] & ~block.written[word]);
          isNew |= all != block.liveIn[word];
          block.liveIn[word] = all;
        }
    }
    return isNew;
  }

  const ptx::Function &function;
  std::vector<RegisterUse> uses;
  std::vector<Block> blocks;
};

} // namespace

std::vector<LiveRange> liveRanges(const ptx::Function &function) {
  return Liveness(function).ranges();
}

} // namespace vgpu
