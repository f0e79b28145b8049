#pragma once
// While kernels are counted without their tensor instructions computing anything:
// ends a kernel if its counts would depend on what they compute. Memory that
// results were stored in is remembered, over launches too.

#include "check/Observer.h"
#include "count/TensorResultFlow.h"

#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

namespace vgpu {

/// A set of 4-byte words, by address.
class WordSet {
public:
  void set(uint64_t address, uint32_t bytes, bool isMember);
  bool meets(uint64_t address, uint32_t bytes);
  bool isEmpty() const { return pages.empty(); }

private:
  static constexpr uint64_t kPageWords = 16384;
  using Page = std::vector<uint64_t>; ///< a bit for each word

  Page *pageOf(uint64_t number, bool isWanted);

  std::unordered_map<uint64_t, Page> pages;
  uint64_t lastNumber = ~uint64_t{0};
  Page *last = nullptr;
};

class TensorResultChecker : public Observer {
public:
  void launchBegins(const Launch &, const TaskOrder &, uint64_t run) override;
  void launchEnds(const Launch &, uint64_t run) override;
  void blockBegins(Block &) override;
  void access(const MemoryAccess &) override;
  void bulkAccess(Warp &, int lane, AccessKind kind, const BulkPieces &pieces) override;

private:
  struct BlockState : Observation {
    WordSet shared;
    bool isAllShared = false; ///< a bulk copy has brought results, who knows where
    bool isLocal = false;     ///< local memory holds results
    std::vector<const ptx::Instruction *> copies; ///< cp.async that bring results
  };

  static BlockState &stateOf(const Block &block);
  TensorResultFlow &flowOf(const Block &block);
  bool isLoaded(const MemoryAccess &access, BlockState &state);
  void store(const MemoryAccess &access, BlockState &state);
  static void refuseConflict(const TensorResultFlow &flow);

  std::map<uint64_t, std::unique_ptr<TensorResultFlow>> flows; ///< by run
  WordSet global;
};

} // namespace vgpu
