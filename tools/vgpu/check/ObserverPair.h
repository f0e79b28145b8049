#pragma once
// Two observers as one.

#include "check/Observer.h"

namespace vgpu {

class ObserverPair : public Observer {
public:
  ObserverPair(Observer &first, Observer &second) : first(first), second(second) {}

  void launchBegins(const Launch &launch, const TaskOrder &order, uint64_t run) override {
    first.launchBegins(launch, order, run);
    second.launchBegins(launch, order, run);
  }
  void launchEnds(const Launch &launch, uint64_t run) override {
    first.launchEnds(launch, run);
    second.launchEnds(launch, run);
  }
  void blockBegins(Block &block) override {
    first.blockBegins(block);
    second.blockBegins(block);
  }
  void blockEnds(Block &block) override {
    first.blockEnds(block);
    second.blockEnds(block);
  }
  void access(const MemoryAccess &access) override {
    first.access(access);
    second.access(access);
  }
  void warpSync(Warp &warp, LaneMask lanes) override {
    first.warpSync(warp, lanes);
    second.warpSync(warp, lanes);
  }
  void barrierArrive(Warp &warp, int id, bool waits) override {
    first.barrierArrive(warp, id, waits);
    second.barrierArrive(warp, id, waits);
  }
  void barrierComplete(Block &block, int id) override {
    first.barrierComplete(block, id);
    second.barrierComplete(block, id);
  }
  void fence(Warp &warp, LaneMask lanes, Order order, Scope scope) override {
    first.fence(warp, lanes, order, scope);
    second.fence(warp, lanes, order, scope);
  }
  void mbarrierInit(Warp &warp, int lane, uint32_t address) override {
    first.mbarrierInit(warp, lane, address);
    second.mbarrierInit(warp, lane, address);
  }
  void mbarrierArrive(Warp &warp, LaneMask lanes, uint32_t address) override {
    first.mbarrierArrive(warp, lanes, address);
    second.mbarrierArrive(warp, lanes, address);
  }
  void mbarrierWait(Warp &warp, LaneMask lanes, uint32_t address) override {
    first.mbarrierWait(warp, lanes, address);
    second.mbarrierWait(warp, lanes, address);
  }
  void bulkAccess(Warp &warp, int lane, AccessKind kind, const BulkPieces &pieces) override {
    first.bulkAccess(warp, lane, kind, pieces);
    second.bulkAccess(warp, lane, kind, pieces);
  }
  void asyncBegins(Warp &warp, int lane, AccessKind kind, uint32_t begin, uint32_t end) override {
    first.asyncBegins(warp, lane, kind, begin, end);
    second.asyncBegins(warp, lane, kind, begin, end);
  }
  void asyncWritten(Warp &warp, int lane, const Instruction &instruction, uint32_t begin,
                    uint32_t end, uint32_t mbarrier) override {
    first.asyncWritten(warp, lane, instruction, begin, end, mbarrier);
    second.asyncWritten(warp, lane, instruction, begin, end, mbarrier);
  }
  void asyncRead(Warp &warp, LaneMask lanes, const Instruction &instruction, uint32_t begin,
                 uint32_t end, uint32_t unit) override {
    first.asyncRead(warp, lanes, instruction, begin, end, unit);
    second.asyncRead(warp, lanes, instruction, begin, end, unit);
  }

private:
  Observer &first, &second;
};

} // namespace vgpu
