// All families of one instruction set.
#include "exec/ops/Families.h"

namespace vgpu::VGPU_VARIANT {

const SelectorTable &selectors() {
  static const SelectorTable table = [] {
    SelectorTable table;
    addInteger(table);
    addVideo(table);
    addBits(table);
    addFloat(table);
    addConvert(table);
    addCompare(table);
    addMove(table);
    addLoadStore(table);
    addAtomic(table);
    addWarpWide(table);
    addBarrier(table);
    addMatrix(table);
    addCopyAsync(table);
    addMbarrier(table);
    addTensorMaps(table);
    addWarpgroup(table);
    addControl(table);
    return table;
  }();
  return table;
}

} // namespace vgpu::VGPU_VARIANT
