#include "lib/kernels/cuda/HopperMatmul.h"

#include "lib/kernels/cuda/HopperBuilder.h"
#include "lib/kernels/cuda/MatmulBlock.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moec::cuda {
namespace {

constexpr int64_t kPanels = kHopperPanels, kTokens = kHopperTokens;
/// Of 16 bytes: 8 columns of a row.
constexpr int64_t kChunkBytes = 16, kChunkColumns = 8;
/// Chunks of a stage; products are of two.
constexpr int64_t kChunks = 8;
constexpr int64_t kStages = 4;
/// Rows of a product's 64 that a warp has sums of.
constexpr int64_t kRowsOfWarp = 16;
/// Stages whose tokens are on the way before the first is handed on.
constexpr int64_t kLag = 1;
// A stage is given back while the next one is multiplied.
static_assert(kLag + 1 < kStages);
/// Registers of threads that copy and of those that multiply: 65,536 in all.
constexpr int64_t kCopyRegisters = 56, kProductRegisters = 224;

/// A stage in shared memory: kPanels panels as they are in memory, and the
/// tokens, whose rows of 128 bytes are swizzled: eight threads that copy a row,
/// and products that read 16 bytes of eight, use all banks.
constexpr int64_t kPanelBytes = kChunks * kPanel * kChunkBytes;
constexpr int64_t kTokenBytes = kChunks * kChunkBytes;
constexpr int64_t kTokensAt = kPanels * kPanelBytes;
constexpr int64_t kStageBytes = kTokensAt + kTokens * kTokenBytes;
/// Before the stages, which are swizzled by their addresses: a barrier that says
/// a stage is full, one that it is free.
constexpr int64_t kBarrierBytes = 8, kStagesAt = 1024;
static_assert(kStageBytes % 1024 == 0 && kTokensAt % 1024 == 0);

class HopperEmitter {
public:
  HopperEmitter(const BlockBuilder &builder, const Matmul &matmul, ValueRange arguments,
                Value number)
      : b(builder), matmul(matmul), layout(matmul.layout),
        block(b, matmul, llvm::divideCeil(layout.panels(), kPanels), kTokens, arguments, number) {}

  void emit() {
    thread = b.thread();
    b.ifTrue(block.find(), [&] { emitTile(); });
  }

private:
  Value barrier(Value slot, bool isFree) {
    return b.at(memory, b.add(b.mul(slot, b.i32(kBarrierBytes)),
                              b.i32(isFree ? kStages * kBarrierBytes : 0)));
  }
  Value stageAt(Value slot) {
    return b.at(memory, b.add(b.mul(slot, b.i32(kStageBytes)), b.i32(kStagesAt)));
  }

  void emitTile() {
    memory = b.sharedMemory();
    stages = b.select(block.isPast(), b.i32(0), b.i32(layout.words() / kChunks));
    b.ifTrue(b.equal(thread, b.i32(0)), [&] {
      for (int64_t slot = 0; slot < kStages; ++slot) {
        // Every copying thread arrives, and one for the bulk copies.
        b.initBarrier(barrier(b.i32(slot), false), kWarpgroup + 1);
        // Every warp that multiplies arrives.
        b.initBarrier(barrier(b.i32(slot), true), kPanels * kWarpgroup / kWarp);
      }
      b.publishBarriers();
    });
    b.barrier();
    b.ifElse(b.less(thread, b.i32(kWarpgroup)), [&] { emitCopies(); }, [&] { emitProducts(); });
  }

  /// The slot after `slot`, and the parity of its phase.
  void advance(Value &slot, Value &parity) {
    Value isLast = b.equal(slot, b.i32(kStages - 1));
    parity = b.select(isLast, b.sub(b.i32(1), parity), parity);
    slot = b.select(isLast, b.i32(0), b.add(slot, b.i32(1)));
  }

  //===--------------------------------------------------------------------===//
  // The warpgroup that copies.
  //===--------------------------------------------------------------------===//

  void emitCopies() {
    b.giveRegisters(kCopyRegisters);
    // Eight threads copy the chunks of a token.
    chunk = b.remainder(thread, kChunks);
    firstToken = b.divided(thread, kChunks);
    constexpr int64_t kTogether = kWarpgroup / kChunks;
    for (int64_t token = 0; token < kTokens; token += kTogether)
      rows.push_back(block.findTokenRow(b.add(firstToken, b.i32(token))));
    Value address = LLVM::PtrToIntOp::create(b, b.getI64Type(), block.x);
    Value misplaced = b.remainder(arith::OrIOp::create(b, address, block.xRowBytes), kChunkBytes);
    Value isAligned = b.equal(misplaced, b.i64(0));
    Value zero = b.i32(0);
    // A stage's tokens are handed on kLag stages later, when they have arrived.
    b.forEach(zero, b.add(stages, b.i32(kLag)), 1, {zero, b.i32(1), zero},
              [&](Value index, MutableArrayRef<Value> state) {
                b.ifTrue(b.less(index, stages), [&] {
                  b.wait(barrier(state[0], true), state[1]);
                  copyPanels(index, state[0]);
                  b.ifElse(
                      isAligned, [&] { copyTokens(index, stageAt(state[0])); },
                      [&] { copyTokensByElement(index, stageAt(state[0])); });
                });
                b.commitCopies();
                b.waitForCopies(kLag);
                b.fenceProducts();
                b.ifTrue(b.less(b.i32(kLag - 1), index),
                         [&] { b.arrive(barrier(state[2], false)); });
                Value next = b.remainder(b.add(state[2], b.i32(1)), kStages);
                state[2] = b.select(b.less(b.i32(kLag - 1), index), next, state[2]);
                advance(state[0], state[1]);
              });
  }

  /// Whole panels lie in memory as in a stage. An odd last one is copied twice.
  void copyPanels(Value index, Value slot) {
    b.ifTrue(b.equal(thread, b.i32(0)), [&] {
      Value full = barrier(slot, false), to = stageAt(slot);
      b.arriveExpecting(full, b.i32(kPanels * kPanelBytes));
      for (int64_t i = 0; i < kPanels; ++i) {
        Value panel = b.min(panelOf(b.i32(i)), b.i32(layout.panels() - 1));
        Value offset = b.mul(b.toI64(block.panelOfAll(panel)), b.i64(layout.panelBytes()));
        Value from = b.at(b.at(block.weights, offset), b.mul(b.toI64(index), b.i64(kPanelBytes)));
        b.copyBulk(b.at(to, i * kPanelBytes), from, b.i32(kPanelBytes), full);
      }
    });
  }

  Value panelOf(Value number) { return b.add(b.mul(block.part, b.i32(kPanels)), number); }

  Value tokenAt(Value stage, Value token) {
    Value place = arith::XOrIOp::create(b, chunk, b.remainder(token, 8));
    Value offset = b.add(b.mul(token, b.i32(kTokenBytes)), b.mul(place, b.i32(kChunkBytes)));
    return b.at(b.at(stage, offset), kTokensAt);
  }

  Value chunkOf(Value index) { return b.add(b.mul(index, b.i32(kChunks)), chunk); }

  void copyTokens(Value index, Value stage) {
    Value offset = b.mul(chunkOf(index), b.i32(kChunkBytes));
    for (auto [i, row] : llvm::enumerate(rows)) {
      Value token = b.add(firstToken, b.i32(i * kWarpgroup / kChunks));
      b.copyAsync(tokenAt(stage, token), b.at(block.addressOf(row), offset),
                  b.select(block.isRow(row), b.i32(kChunkBytes), b.i32(0)));
    }
  }

  /// For rows that no vector can be read from.
  void copyTokensByElement(Value index, Value stage) {
    Value offset = b.mul(chunkOf(index), b.i32(kChunkBytes));
    b.forEach(firstToken, b.i32(kTokens), kWarpgroup / kChunks, [&](Value token) {
      Value row = block.findTokenRow(token), from = block.addressOf(row);
      SmallVector<Value> elements;
      for (int64_t i = 0; i < kChunkColumns; ++i)
        elements.push_back(b.loadIf(block.isRow(row), matmul.x, b.at(b.at(from, offset), 2 * i),
                                    b.constant(matmul.x, 0)));
      auto type = VectorType::get(kChunkColumns, matmul.x);
      b.store(vector::FromElementsOp::create(b, type, elements), tokenAt(stage, token));
    });
  }

  //===--------------------------------------------------------------------===//
  // The warpgroups that multiply.
  //===--------------------------------------------------------------------===//

  void emitProducts() {
    b.takeRegisters(kProductRegisters);
    Value number = b.sub(b.divided(thread, kWarpgroup), b.i32(1));
    Value panelAt = b.mul(number, b.i32(kPanelBytes));
    Value zero = b.i32(0);
    SmallVector<Value> state{b.zeroSums(kTokens), b.zeroSums(kTokens), zero, zero, zero};
    state = b.forEach(zero, stages, 1, state, [&](Value index, MutableArrayRef<Value> state) {
      Value &slot = state[2], &parity = state[3], &before = state[4];
      Value stage = stageAt(slot);
      b.wait(barrier(slot, false), parity);
      b.beginProducts();
      for (int64_t at = 0; at < kChunks; at += 2) {
        Value tokens = b.describeSwizzled(b.at(stage, kTokensAt + at * kChunkBytes));
        for (int64_t half = 0; half < 2; ++half) {
          Value rows = b.at(b.at(stage, panelAt), (at * kPanel + half * kHalf) * kChunkBytes);
          state[half] = b.multiply(matmul.x, state[half],
                                   b.describePlain(rows, kPanel * kChunkBytes), tokens, kTokens);
        }
      }
      b.commitProducts();
      // While these are computed, the stage before is given back.
      b.waitForProducts(1);
      Value isFirst = b.equal(index, zero), isOne = b.equal(b.lane(), zero);
      b.ifTrue(b.both(isOne, b.equal(isFirst, b.constant(b.getI1Type(), 0))),
               [&] { b.arrive(barrier(before, true)); });
      before = slot;
      advance(slot, parity);
    });
    b.waitForProducts(0);
    store(panelOf(number), {b.settled(state[0]), b.settled(state[1])});
  }

  /// Stores both halves of a panel, if it exists.
  void store(Value panel, std::array<Value, 2> halves) {
    Value lane = b.lane(), warp = b.remainder(b.warp(), kWarpgroup / kWarp);
    Value row = b.add(b.mul(warp, b.i32(kRowsOfWarp)), b.divided(lane, 4));
    SmallVector<Value> rows{row, b.add(row, b.i32(8))}, tokens, sums;
    for (int64_t token = 0; token < kTokens; token += 8)
      for (int64_t i = 0; i < 2; ++i)
        tokens.push_back(b.add(b.mul(b.remainder(lane, 4), b.i32(2)), b.i32(token + i)));
    for (Value half : halves) {
      SmallVector<Value> elements = b.elementsOf(half);
      for (size_t i = 0; i < rows.size(); ++i)
        for (size_t token = 0; token < tokens.size(); ++token)
          sums.push_back(elements[4 * (token / 2) + 2 * i + token % 2]);
    }
    b.ifTrue(b.less(panel, b.i32(layout.panels())),
             [&] { block.store(panel, rows, tokens, sums); });
  }

  HopperBuilder b;
  const Matmul &matmul;
  const PackedLayout &layout;
  MatmulBlock block;
  Value thread, memory, stages;
  /// What this thread copies of each stage.
  Value chunk, firstToken;
  SmallVector<Value> rows;
};

} // namespace

bool hasHopperKernel(const Matmul &matmul) {
  return matmul.tile.tokens == matmul.tileOf(TileSize::many).tokens &&
         !isInteger(matmul.layout.element) && !matmul.x.isF32() &&
         matmul.layout.k % (kChunks * kChunkColumns) == 0;
}

func::FuncOp buildHopperKernel(OpBuilder &builder, const Matmul &matmul) {
  BlockShape shape{(1 + kPanels) * kWarpgroup, kStagesAt + kStages * kStageBytes};
  return defineBlockKernel(builder, matmul.name(), matmul.argumentTypes(builder), shape,
                           [&](BlockBuilder &b, ValueRange arguments, Value number) {
                             HopperEmitter(b, matmul, arguments, number).emit();
                           });
}

} // namespace moec::cuda
