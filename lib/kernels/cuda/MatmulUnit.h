//===- MatmulUnit.h - what a warp multiplies with --------------------------===//
#pragma once

#include "lib/kernels/cuda/Matmul.h"
#include <memory>

namespace moec::cuda {

/// A stage of the pipeline in shared memory: some words of the rows of a
/// block's part of a panel, word after word; the same columns of its tokens, 16
/// bytes after 16 bytes; and the scales and zero points of these columns, block
/// after block. Pitches are chosen such that the eight addresses of 16 bytes
/// that are accessed together lie in different banks.
struct MatmulStage {
  explicit MatmulStage(const Matmul &matmul);

  /// Of the matrix.
  int64_t wordColumns, wordBytes;
  int64_t words = 8;
  /// Of the tokens, in 16 bytes.
  int64_t tokenChunks;
  /// Bytes from a word, or from a chunk, to the next.
  int64_t wordPitch, chunkPitch;

  /// Blocks of columns that are scaled, and the bytes of a scale and of a zero
  /// point, which are 0 if there are none.
  int64_t scaledBlocks = 0, scaleBytes = 0, zeroBytes = 0;
  /// Rows of both halves.
  int64_t rows;

  int64_t columns() const { return words * wordColumns; }
  int64_t scaledColumns() const { return columns() / scaledBlocks; }
  int64_t tokensAt() const { return words * wordPitch; }
  int64_t scalesAt() const { return tokensAt() + tokenChunks * chunkPitch; }
  int64_t zerosAt() const { return scalesAt() + scaledBlocks * rows * scaleBytes; }
  int64_t bytes() const { return zerosAt() + scaledBlocks * rows * zeroBytes; }
};

/// Multiplies what a warp reads from stages. Its sums are those of some rows of
/// both halves for some tokens, the tokens of a row one after the other.
class MatmulUnit {
public:
  MatmulUnit(BlockBuilder &b, const Matmul &matmul, const MatmulStage &stage)
      : b(b), matmul(matmul), stage(stage) {}
  virtual ~MatmulUnit() = default;

  /// Rows, within those of a warp in a half, and tokens of the thread's sums.
  llvm::ArrayRef<mlir::Value> rows() const { return rows_; }
  llvm::ArrayRef<mlir::Value> tokens() const { return tokens_; }
  int64_t sumCount() const { return 2 * rows_.size() * tokens_.size(); }
  size_t sumIndex(size_t half, size_t row, size_t token) const {
    return (half * rows_.size() + row) * tokens_.size() + token;
  }

  /// Adds the products of words [from, to) of the stage at `base` to the sums.
  /// `zeros` are the zero points of the rows of both halves, as integers, if
  /// the matrix has its own.
  virtual void multiply(mlir::Value base, int64_t from, int64_t to,
                        llvm::ArrayRef<mlir::Value> zeros,
                        llvm::MutableArrayRef<mlir::Value> sums) = 0;

protected:
  /// Bytes from the start of a stage to a word of a row of the warp.
  int64_t wordAt(int64_t word, size_t half, int64_t row) const {
    int64_t rowOfBlock = half * matmul.tile.rowsOfHalf() + row;
    return word * stage.wordPitch + rowOfBlock * stage.wordBytes;
  }
  int64_t chunkAt(int64_t chunk, int64_t token) const {
    return stage.tokensAt() + chunk * stage.chunkPitch + token * 16;
  }

  BlockBuilder &b;
  const Matmul &matmul;
  const MatmulStage &stage;
  llvm::SmallVector<mlir::Value> rows_, tokens_;
};

/// Tensor cores for x of bf16 or f16, multiply-adds for f32.
std::unique_ptr<MatmulUnit> createMatmulUnit(BlockBuilder &b, const Matmul &matmul,
                                             const MatmulStage &stage);

} // namespace moec::cuda
