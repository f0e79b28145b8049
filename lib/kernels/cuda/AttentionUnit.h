//===- AttentionUnit.h - what a warp multiplies queries, keys and values by --===//
#pragma once

#include "lib/kernels/cuda/Attention.h"
#include "lib/kernels/cuda/RowFloats.h"
#include <memory>

namespace moec::cuda {

/// Columns of o that a warp sums at a time.
inline constexpr int64_t kValueColumns = 64;

/// Addresses of the rows of q, k and v that a warp reads.
struct AttentionAddresses {
  /// Of the rows g and g + 8 of this lane's tile, and of the first key and value.
  std::array<mlir::Value, 2> q;
  mlir::Value k, v;
  /// Bytes from a key, and from a value, to the next, in i64.
  mlir::Value keyBytes, valueBytes;
};

/// The keys of a chunk, which begins at `start`: of them those of [first, last]
/// are read.
struct ChunkKeys {
  mlir::Value start, first, last;
};

/// Rows of keys or of values that a lane reads, at constant distances from its
/// first in the chunk, so that no register holds where each is. For a row that is
/// not read there is another.
class LaneRows {
public:
  /// `memory` is that of row 0, `bytes` the distance to the next; `mine` is the
  /// place of the lane's first row in the chunk.
  LaneRows(BlockBuilder &b, mlir::Value memory, mlir::Value bytes, const ChunkKeys &keys,
           mlir::Value mine);

  mlir::Value row(int64_t distance) const;

private:
  BlockBuilder &b;
  mlir::Value bytes, origin, lowest, highest;
};

/// Multiplies for a tile of rows. The lane with t = lane % 4 and g = lane / 4
/// has those of rows g and g + 8: scores of keys 8j + 2t and 8j + 2t + 1 of a
/// chunk, four for each j, and columns 16t to 16t + 15 of the kValueColumns,
/// 16 for each row.
class AttentionUnit {
public:
  /// `memory` is shared by the lanes of this warp alone.
  AttentionUnit(BlockBuilder &b, const Attention &op, const AttentionAddresses &addresses,
                mlir::Value memory)
      : b(b), op(op), addresses(addresses), group(b.divided(b.lane(), 4)),
        place(b.remainder(b.lane(), 4)), memory(memory) {}
  virtual ~AttentionUnit() = default;

  /// Bytes of memory that a warp needs.
  static int64_t memoryBytes(const Attention &op);
  /// Eight keys each.
  int64_t keyTiles() const { return llvm::divideCeil(op.chunk, 16) * 2; }

  /// q.k for a chunk: keys that are not read get the scores of others.
  virtual llvm::SmallVector<mlir::Value> scores(const ChunkKeys &keys) = 0;
  /// Takes the exponentials of the chunk; negative ones are masked.
  virtual void setExponentials(llvm::ArrayRef<mlir::Value> exponentials);
  /// Their sums with the values of columns from `column` on, a multiple of
  /// kValueColumns, row after row.
  virtual llvm::SmallVector<mlir::Value> sums(const ChunkKeys &keys, mlir::Value column) = 0;

  static constexpr int64_t kColumnsOfLane = kValueColumns / 4;

protected:
  /// The rows of a lane whose first is at `mine` in the chunk.
  LaneRows keyRows(const ChunkKeys &keys, mlir::Value mine) {
    return LaneRows(b, addresses.k, addresses.keyBytes, keys, mine);
  }
  LaneRows valueRows(const ChunkKeys &keys, mlir::Value mine) {
    return LaneRows(b, addresses.v, addresses.valueBytes, keys, mine);
  }
  /// Sums over the keys of the chunk, ascending: `update` gets an exponential, a
  /// value and the sum so far.
  llvm::SmallVector<mlir::Value>
  overKeys(const ChunkKeys &keys, mlir::Value column, llvm::ArrayRef<mlir::Value> init,
           llvm::function_ref<mlir::Value(mlir::Value, mlir::Value, mlir::Value)> update);
  /// Elements of rows of `width` that lanes read at once.
  int64_t elementsTogether(int64_t width) const;
  llvm::SmallVector<mlir::Value> floats(mlir::Value row, mlir::Value at, int64_t count);

  BlockBuilder &b;
  const Attention &op;
  AttentionAddresses addresses;
  mlir::Value group, place;

  /// Where the exponential of a key of the chunk is, in row g or g + 8.
  mlir::Value exponentialAt(mlir::Value key, int64_t isSecond);

private:
  /// All lanes of the warp.
  void synchronise();

  mlir::Value memory;
};

/// By tensor cores, or by multiply-adds.
std::unique_ptr<AttentionUnit> createAttentionUnit(BlockBuilder &b, const Attention &op,
                                                   const AttentionAddresses &addresses,
                                                   mlir::Value memory);

} // namespace moec::cuda
