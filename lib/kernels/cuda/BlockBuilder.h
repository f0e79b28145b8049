//===- BlockBuilder.h - what kernels of whole blocks are written in --------===//
#pragma once

#include "lib/kernels/LoopBuilder.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include <array>

namespace moec::cuda {

inline constexpr int64_t kWarp = 32;

/// How values become one: of floats or i32, signed; bits are those of any i32.
enum class Fold { sum, max, min, bits };

/// The threads of a block: their numbers, memory, barriers and tensor cores.
/// Numbers of threads and offsets in bytes are i32; pointers are LLVM's, of
/// global memory (address space 1) or shared memory (3).
class BlockBuilder : public LoopBuilder {
public:
  using LoopBuilder::LoopBuilder;

  mlir::Value i32(int64_t value);
  mlir::Value i64(int64_t value);
  mlir::Value toI32(mlir::Value value);
  mlir::Value toI64(mlir::Value value);
  /// Of integers that are not negative.
  mlir::Value divided(mlir::Value value, int64_t divisor);
  mlir::Value remainder(mlir::Value value, int64_t divisor);
  mlir::Value ceilDivided(mlir::Value value, int64_t divisor);

  mlir::Value thread();
  mlir::Value lane() { return remainder(thread(), kWarp); }
  mlir::Value warp() { return divided(thread(), kWarp); }

  /// The start of the block's memory, which all its threads share.
  mlir::Value sharedMemory();
  /// The first element of a memref.
  mlir::Value globalMemory(mlir::Value memref);
  /// The size of a memref's dimension, and the bytes between its rows, in i64.
  mlir::Value sizeOf(mlir::Value memref, unsigned dim);
  mlir::Value rowBytes(mlir::Value memref);
  /// `pointer` plus a number of bytes.
  mlir::Value at(mlir::Value pointer, mlir::Value bytes);
  mlir::Value at(mlir::Value pointer, int64_t bytes) { return at(pointer, i32(bytes)); }
  /// A scalar or vector, of which `pointer` is a multiple of the size.
  mlir::Value load(mlir::Type type, mlir::Value pointer);
  void store(mlir::Value value, mlir::Value pointer);
  /// `fallback` where `condition` is false, and then nothing is read.
  mlir::Value loadIf(mlir::Value condition, mlir::Type type, mlir::Value pointer,
                     mlir::Value fallback);

  /// Begins to copy the first `bytes` of 16 from global to shared memory and to
  /// fill the others with zeros; all if there are no `bytes`.
  void copyAsync(mlir::Value shared, mlir::Value global, mlir::Value bytes = {});
  /// Closes the group of the copies begun since the last.
  void commitCopies();
  /// Waits until at most so many groups of this thread are on the way.
  void waitForCopies(int64_t groups);
  /// Waits for all threads; what they wrote is visible then.
  void barrier();

  /// The value of the lane `distance` below, undefined in the first ones.
  mlir::Value fromLaneBelow(mlir::Value value, int64_t distance);
  mlir::Value fromLane(mlir::Value value, mlir::Value lane);
  /// The value of the lane whose number differs in the bits of `mask`.
  mlir::Value fromLaneAcross(mlir::Value value, int64_t mask);
  /// What the values of each `lanes` neighbours give together, a power of two;
  /// all of them get it. Floats are folded across one bit of the lane's number
  /// after the other, the highest first.
  mlir::Value foldLanes(mlir::Value value, Fold fold, int64_t lanes = kWarp);
  /// A bit of an i32 for each lane.
  mlir::Value ballot(mlir::Value condition);

  /// Four matrices of 8 rows of 16 bytes in shared memory, of which each lane
  /// addresses a row: lane l gets of each the word l % 4 of row l / 4.
  std::array<mlir::Value, 4> loadMatrices(mlir::Value pointer);

  /// a * b + sum, rounded once.
  mlir::Value multiplyAdd(mlir::Value a, mlir::Value b, mlir::Value sum);
  /// a [16,16] * b [16,8] + sum [16,8] by the warp, in the fragments of
  /// mma.m16n8k16; words hold two elements of bf16 or f16.
  std::array<mlir::Value, 4> multiplyTile(mlir::Type element, llvm::ArrayRef<mlir::Value> a,
                                          llvm::ArrayRef<mlir::Value> b,
                                          llvm::ArrayRef<mlir::Value> sum);
  /// Bytes of `value` by the digits of `selector`, the lowest first; digit 4 is 0.
  mlir::Value permuteBytes(mlir::Value value, uint32_t selector);
  /// (value & mask) | bits.
  mlir::Value masked(mlir::Value value, uint32_t mask, uint32_t bits = 0);
  mlir::Value bitcast(mlir::Value value, mlir::Type type);

private:
  mlir::Value shuffle(mlir::Value value, mlir::Value operand, int kind, int64_t clamp);
};

/// How a kernel occupies a multiprocessor.
struct BlockShape {
  int64_t threads = kWarp;
  /// Bytes of shared memory.
  int64_t shared = 0;
};

/// A private kernel called `name` whose grid is blocks of `shape`. Arguments
/// are of `types`; `body` also takes the number of the block, an i32.
mlir::func::FuncOp
defineBlockKernel(mlir::OpBuilder &builder, llvm::StringRef name, llvm::ArrayRef<mlir::Type> types,
                  const BlockShape &shape,
                  llvm::function_ref<void(BlockBuilder &, mlir::ValueRange, mlir::Value)> body);

/// Puts `variant`, which has the arguments and grid of `kernel`, beside it; it
/// takes its place in code for the chip.
void addVariant(mlir::func::FuncOp kernel, mlir::func::FuncOp variant, llvm::StringRef chip);

/// The symbol of the memory that a block's threads share, which kernels with
/// such memory refer to.
inline constexpr llvm::StringLiteral kSharedMemory = "moec_shared_memory";
/// Its declaration.
mlir::Operation *declareSharedMemory(mlir::OpBuilder &builder, mlir::Location loc);

} // namespace moec::cuda
