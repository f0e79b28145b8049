#include "lib/kernels/cpu/Transpose.h"

#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moec {

void transpose(KernelBuilder &b, MutableArrayRef<Value> rows) {
  // Step by step, bit `step` of the row number changes places with that of the
  // lane number: blocks beside the diagonal are exchanged.
  int64_t size = rows.size();
  for (int64_t step = 1; step < size; step *= 2) {
    SmallVector<int64_t> low, high;
    for (int64_t lane = 0; lane < size; ++lane) {
      bool isSecond = lane & step;
      low.push_back(isSecond ? size + lane - step : lane);
      high.push_back(isSecond ? size + lane : lane + step);
    }
    for (int64_t row = 0; row < size; ++row) {
      if (row & step)
        continue;
      Value upper = rows[row], lower = rows[row + step];
      rows[row] = vector::ShuffleOp::create(b, upper, lower, low);
      rows[row + step] = vector::ShuffleOp::create(b, upper, lower, high);
    }
  }
}

} // namespace moec
