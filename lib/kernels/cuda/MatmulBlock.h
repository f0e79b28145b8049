//===- MatmulBlock.h - what a block multiplies, and where its sums go ------===//
#pragma once

#include "lib/kernels/cuda/Matmul.h"

namespace moec::cuda {

/// The arguments of a matmul kernel, the part of the product that a block
/// computes, and what becomes of its sums; not how it multiplies.
class MatmulBlock {
public:
  /// A matrix is divided into `parts`, rows into `tokens`.
  MatmulBlock(BlockBuilder &b, const Matmul &matmul, int64_t parts, int64_t tokens,
              mlir::ValueRange arguments, mlir::Value block);

  /// Finds the work of this block. Returns whether there is any.
  mlir::Value find();
  /// The row of x for a token, -1 if there is none.
  mlir::Value findTokenRow(mlir::Value token);
  /// Whether there is a row, and where; somewhere in x if there is none.
  mlir::Value isRow(mlir::Value row);
  mlir::Value addressOf(mlir::Value row);
  /// The number of a panel among those of all groups.
  mlir::Value panelOfAll(mlir::Value panel);
  /// Whether this block has the rows past the last group, which are 0.
  mlir::Value isPast();

  /// Stores activation(sum + bias) for rows of both halves of a panel and some
  /// tokens: sums[(half * rows + row) * tokens + token].
  void store(mlir::Value panel, llvm::ArrayRef<mlir::Value> rows,
             llvm::ArrayRef<mlir::Value> tokens, llvm::ArrayRef<mlir::Value> sums);

  /// Global memory; null if there is no such argument.
  mlir::Value x, weights, scales, zeros;
  /// Bytes between rows of x.
  mlir::Value xRowBytes;
  /// Of this block.
  mlir::Value group, part, firstRow, rowCount;

private:
  mlir::Value findTile(mlir::Value index, mlir::Value rowTiles);
  mlir::Value findGroup(mlir::Value &start, mlir::Value &from, mlir::Value &to);
  mlir::Value loadOffset(mlir::Value index);
  void storeElement(mlir::Value value, mlir::Value row, mlir::Value token, mlir::Value column);
  llvm::SmallVector<mlir::Value> loadBias(mlir::Value column);
  llvm::SmallVector<mlir::Value> epilogue(llvm::SmallVector<mlir::Value> values,
                                          llvm::ArrayRef<mlir::Value> addends);

  BlockBuilder &b;
  const Matmul &matmul;
  const PackedLayout &layout;
  int64_t parts, tokens;
  mlir::Value rowTable, offsets, bias, y, block, totalRows;
};

} // namespace moec::cuda
