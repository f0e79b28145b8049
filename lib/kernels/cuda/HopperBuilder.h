//===- HopperBuilder.h - what sm_90a has beyond older chips ----------------===//
#pragma once

#include "lib/kernels/cuda/BlockBuilder.h"

namespace moec::cuda {

/// Threads that multiply together.
inline constexpr int64_t kWarpgroup = 128;

/// Barriers in memory, copies of whole ranges, and products of a warpgroup that
/// read both operands from shared memory.
class HopperBuilder : public BlockBuilder {
public:
  HopperBuilder(const BlockBuilder &b) : BlockBuilder(b) {}

  /// Makes 8 bytes of shared memory a barrier of so many arrivals per phase.
  void initBarrier(mlir::Value barrier, int64_t arrivals);
  /// After the last of these, and before the barrier of all threads that lets
  /// others use them.
  void publishBarriers();
  void arrive(mlir::Value barrier);
  /// Arrives, and has the phase wait for so many copied bytes too.
  void arriveExpecting(mlir::Value barrier, mlir::Value bytes);
  /// Waits for the end of the phase with this parity (i32).
  void wait(mlir::Value barrier, mlir::Value parity);
  /// Begins to copy bytes, a multiple of 16; the barrier counts them.
  void copyBulk(mlir::Value shared, mlir::Value global, mlir::Value bytes, mlir::Value barrier);
  /// Lets products read what this thread wrote, once others know of it.
  void fenceProducts();
  /// How many registers the threads of the warpgroup have from now on.
  void giveRegisters(int64_t count);
  void takeRegisters(int64_t count);

  /// The sums of a product of 64 rows by `columns`, as zeros. The thread with
  /// t = lane % 4 and g = lane / 4 of warp w has, of each 8 columns, element
  /// 4 * (column / 8) + 2 * i + j: row 16 * w + g + 8 * i, column 2 * t + j.
  mlir::Value zeroSums(int64_t columns);
  llvm::SmallVector<mlir::Value> elementsOf(mlir::Value sums);
  /// Describes 16 columns of rows at `pointer`. Plain: 8 rows of 8 columns (16
  /// bytes) lie together, `columnStep` bytes before those of the next 8 columns,
  /// 128 before the next 8 rows.
  mlir::Value describePlain(mlir::Value pointer, int64_t columnStep);
  /// Swizzled: rows of 64 columns (128 bytes) lie one after the other from a
  /// multiple of 1024 bytes on; in row r, 16 bytes number c are at c ^ (r % 8).
  mlir::Value describeSwizzled(mlir::Value pointer);
  /// Begins sums += a * b over 16 columns of k; both are K-major.
  mlir::Value multiply(mlir::Type element, mlir::Value sums, mlir::Value a, mlir::Value b,
                       int64_t columns);
  /// Lets products use the sums as they are in registers.
  void beginProducts();
  void commitProducts();
  /// Waits until at most so many groups of products are unfinished.
  void waitForProducts(int64_t groups);
  /// The same sums; what reads them is not moved before a wait that precedes.
  mlir::Value settled(mlir::Value sums);

private:
  mlir::Value descriptor(mlir::Value pointer, int64_t columnStep, int64_t rowStep, int64_t swizzle);
};

} // namespace moec::cuda
