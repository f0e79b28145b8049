#include "program/ControlFlow.h"

#include <algorithm>

namespace vgpu {
namespace {

/// The control-flow graph with a virtual exit as its last node.
class Graph {
public:
  explicit Graph(const Function &function) : function(function) {
    findBlocks();
    successors.resize(starts.size() + 1);
    predecessors.resize(starts.size() + 1);
    for (size_t block = 0; block < starts.size(); ++block)
      connect(static_cast<int>(block));
  }

  int exit() const { return static_cast<int>(starts.size()); }
  int blockOf(uint32_t instruction) const { return blockOfInstruction[instruction]; }
  uint32_t start(int block) const { return starts[block]; }

  /// Immediate post-dominators by Cooper, Harvey and Kennedy's iteration on the
  /// reversed graph; -1 for blocks that never reach the exit.
  std::vector<int> postDominators() const {
    std::vector<int> order = reversePostOrder(), rank(successors.size(), -1);
    for (size_t position = 0; position < order.size(); ++position)
      rank[order[position]] = static_cast<int>(position);
    std::vector<int> dominator(successors.size(), -1);
    dominator[exit()] = exit();
    for (bool changed = true; changed;) {
      changed = false;
      for (int block : order) {
        if (block == exit())
          continue;
        int common = -1;
        for (int successor : successors[block])
          if (rank[successor] >= 0 && dominator[successor] >= 0)
            common = common < 0 ? successor : intersect(common, successor, dominator, rank);
        changed |= common != dominator[block];
        dominator[block] = common;
      }
    }
    return dominator;
  }

private:
  void findBlocks() {
    std::vector<bool> isLeader(function.code.size() + 1, false);
    isLeader[0] = true;
    for (size_t index = 0; index < function.code.size(); ++index) {
      const Instruction &instruction = function.code[index];
      if (instruction.flow == Flow::Next)
        continue;
      isLeader[index + 1] = true;
      for (uint32_t target : targets(instruction))
        isLeader[target] = true;
    }
    for (size_t index = 0; index < function.code.size(); ++index) {
      if (isLeader[index])
        starts.push_back(static_cast<uint32_t>(index));
      blockOfInstruction.push_back(static_cast<int>(starts.size()) - 1);
    }
  }

  std::vector<uint32_t> targets(const Instruction &instruction) const {
    if (instruction.flow == Flow::Branch)
      return {instruction.target};
    if (instruction.flow == Flow::IndexedBranch)
      return function.branchTables[instruction.target];
    return {};
  }

  void connect(int block) {
    uint32_t end =
        block + 1 < exit() ? starts[block + 1] : static_cast<uint32_t>(function.code.size());
    const Instruction &last = function.code[end - 1];
    for (uint32_t target : targets(last))
      addEdge(block, blockOf(target));
    bool leaves = last.flow == Flow::Return || last.flow == Flow::Exit;
    if (leaves)
      addEdge(block, exit());
    bool isGuarded = last.guard != 0;
    if (last.flow == Flow::Next || isGuarded)
      addEdge(block, block + 1);
  }

  void addEdge(int from, int to) {
    successors[from].push_back(to);
    predecessors[to].push_back(from);
  }

  std::vector<int> reversePostOrder() const {
    std::vector<int> order;
    std::vector<bool> isSeen(successors.size(), false);
    std::vector<std::pair<int, size_t>> stack{{exit(), 0}};
    isSeen[exit()] = true;
    while (!stack.empty()) {
      auto &[block, next] = stack.back();
      if (next == predecessors[block].size()) {
        order.push_back(block);
        stack.pop_back();
      } else if (int predecessor = predecessors[block][next++]; !isSeen[predecessor]) {
        isSeen[predecessor] = true;
        stack.push_back({predecessor, 0});
      }
    }
    std::reverse(order.begin(), order.end());
    return order;
  }

  static int intersect(int a, int b, const std::vector<int> &dominator,
                       const std::vector<int> &rank) {
    while (a != b) {
      while (rank[a] > rank[b])
        a = dominator[a];
      while (rank[b] > rank[a])
        b = dominator[b];
    }
    return a;
  }

  const Function &function;
  std::vector<uint32_t> starts;
  std::vector<int> blockOfInstruction;
  std::vector<std::vector<int>> successors, predecessors;
};

} // namespace

void findReconvergence(Function &function) {
  Graph graph(function);
  std::vector<int> dominators = graph.postDominators();
  for (uint32_t index = 0; index < function.code.size(); ++index) {
    Instruction &instruction = function.code[index];
    if (instruction.flow != Flow::Branch && instruction.flow != Flow::IndexedBranch)
      continue;
    int dominator = dominators[graph.blockOf(index)];
    bool meets = dominator >= 0 && dominator != graph.exit();
    instruction.reconvergence = meets ? graph.start(dominator) : Function::kNever;
  }
}

} // namespace vgpu
