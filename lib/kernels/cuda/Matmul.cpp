#include "lib/kernels/cuda/Matmul.h"

#include "lib/kernels/cuda/HopperMatmul.h"
#include "lib/kernels/cuda/MatmulBlock.h"
#include "lib/kernels/cuda/MatmulUnit.h"
#include "lib/weights/Pack.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moec::cuda {
namespace {

constexpr int64_t kCopyBytes = 16;

/// The second-level cache keeps a matrix of at most so many bytes, and of tokens beside
/// a larger one so many: as many bytes at 4096 columns of 16 bits. That is half of what
/// it has on an A100; what passes by and results take the other half. And the blocks
/// that run together are then about as high as they are wide, and read least.
constexpr int64_t kKeptBytes = 16 << 20, kBandTokens = 2048;

/// Slabs of a panel that blocks of a tile compute, and those of a matrix.
int64_t slabsOf(const MatmulTile &tile) { return kHalf / tile.rowsOfHalf(); }
int64_t partsOf(const Matmul &matmul) { return matmul.layout.panels() * slabsOf(matmul.tile); }

/// Emits the body of one matmul kernel.
class MatmulEmitter {
public:
  MatmulEmitter(BlockBuilder &b, const Matmul &matmul, ValueRange arguments, Value block)
      : b(b), matmul(matmul), layout(matmul.layout), tile(matmul.tile), stage(matmul),
        block(b, matmul, partsOf(matmul), tile.tokens, arguments, block) {}

  void emit() {
    thread = b.thread();
    b.ifTrue(block.find(), [&] { emitTile(); });
  }

private:
  //===--------------------------------------------------------------------===//
  // The pipeline: copies of later stages run while one is multiplied.
  //===--------------------------------------------------------------------===//

  void emitTile() {
    Value memory = b.sharedMemory();
    panel = b.divided(block.part, slabsOf(tile));
    slab = b.remainder(block.part, slabsOf(tile));
    unit = createMatmulUnit(b, matmul, stage);
    prepareCopies();
    Value stages = b.i32(llvm::divideCeil(layout.words(), stage.words));
    stages = b.select(block.isPast(), b.i32(0), stages);
    b.forEach(b.i32(0), b.i32(tile.stages - 1), 1, [&](Value index) {
      Value at = b.at(memory, b.mul(index, b.i32(stage.bytes())));
      b.ifTrue(b.less(index, stages), [&] { beginCopies(index, at); });
      b.commitCopies();
    });
    SmallVector<Value> state(unit->sumCount(), b.constant(b.getF32Type(), 0));
    state.push_back(b.i32(0));
    state = b.forEach(b.i32(0), stages, 1, state, [&](Value index, MutableArrayRef<Value> state) {
      b.waitForCopies(tile.stages - 2);
      // All have copied their part of this stage, and left the one before.
      b.barrier();
      Value &slot = state.back();
      Value later = b.add(index, b.i32(tile.stages - 1));
      b.ifTrue(b.less(later, stages), [&] {
        Value free = b.remainder(b.add(slot, b.i32(tile.stages - 1)), tile.stages);
        beginCopies(later, b.at(memory, b.mul(free, b.i32(stage.bytes()))));
      });
      b.commitCopies();
      multiply(b.at(memory, b.mul(slot, b.i32(stage.bytes()))), state.drop_back());
      slot = b.remainder(b.add(slot, b.i32(1)), tile.stages);
    });
    block.store(panel, rowsOfHalf(), unit->tokens(), ArrayRef(state).drop_back());
  }

  /// Finds what this thread copies of each stage.
  void prepareCopies() {
    // Words of a half are contiguous in memory, and so in units of 16 bytes.
    int64_t halfBytes = tile.rowsOfHalf() * stage.wordBytes;
    Value position = b.remainder(thread, halfBytes / kCopyBytes);
    Value half = b.remainder(b.divided(thread, halfBytes / kCopyBytes), 2);
    matrixWord = b.divided(thread, 2 * halfBytes / kCopyBytes);
    Value inHalf = b.mul(position, b.i32(kCopyBytes));
    Value inWord = b.add(
        b.add(b.mul(half, b.i32(kHalf * stage.wordBytes)), b.mul(slab, b.i32(halfBytes))), inHalf);
    Value panelBytes = b.mul(b.toI64(block.panelOfAll(panel)), b.i64(layout.panelBytes()));
    matrixFrom = b.at(b.at(block.weights, panelBytes),
                      b.add(inWord, b.mul(matrixWord, b.i32(wordBytesOfPanel()))));
    matrixTo = b.add(b.mul(matrixWord, b.i32(stage.wordPitch)),
                     b.add(b.mul(half, b.i32(halfBytes)), inHalf));

    // Eight threads copy four chunks of two tokens, which fill all banks.
    Value low = b.remainder(thread, 4);
    Value high = b.remainder(b.divided(thread, 8), stage.tokenChunks / 4);
    tokenChunk = b.add(low, b.mul(high, b.i32(4)));
    Value odd = b.remainder(b.divided(thread, 4), 2);
    firstToken = b.add(odd, b.mul(b.divided(thread, 2 * stage.tokenChunks), b.i32(2)));
    tokenTo = b.add(b.mul(tokenChunk, b.i32(stage.chunkPitch)),
                    b.add(b.mul(firstToken, b.i32(kCopyBytes)), b.i32(stage.tokensAt())));
    for (int64_t copy = 0; copy < tokenCopies(); ++copy)
      tokenRows.push_back(block.findTokenRow(b.add(firstToken, b.i32(copy * tokensPerCopy()))));
    Value address = LLVM::PtrToIntOp::create(b, b.getI64Type(), block.x);
    Value misplaced = b.remainder(arith::OrIOp::create(b, address, block.xRowBytes), kCopyBytes);
    isAligned = b.equal(misplaced, b.i64(0));
  }

  int64_t threads() const { return tile.warps * kWarp; }
  int64_t wordBytesOfPanel() const { return kPanel * stage.wordBytes; }
  /// Words of the matrix that the threads copy at once, and how often.
  int64_t wordsPerCopy() const {
    return threads() * kCopyBytes / (2 * tile.rowsOfHalf() * stage.wordBytes);
  }
  int64_t tokensPerCopy() const { return threads() / stage.tokenChunks; }
  int64_t tokenCopies() const { return tile.tokens / tokensPerCopy(); }

  void beginCopies(Value index, Value at) {
    copyMatrix(index, at);
    if (block.scales)
      copyParameters(block.scales, stage.scaleBytes, stage.scalesAt(), index, at);
    if (block.zeros)
      copyParameters(block.zeros, stage.zeroBytes, stage.zerosAt(), index, at);
    b.ifElse(isAligned, [&] { copyTokens(index, at); }, [&] { copyTokensByElement(index, at); });
  }

  void copyMatrix(Value index, Value at) {
    Value to = b.at(at, matrixTo);
    Value stageBytes = b.i64(stage.words * wordBytesOfPanel());
    Value from = b.at(matrixFrom, b.mul(b.toI64(index), stageBytes));
    bool isRagged = layout.words() % stage.words != 0;
    Value left =
        isRagged ? b.sub(b.i32(layout.words()), b.add(b.mul(index, b.i32(stage.words)), matrixWord))
                 : Value();
    for (int64_t word = 0; word < stage.words; word += wordsPerCopy()) {
      Value bytes;
      if (isRagged)
        bytes = b.select(b.less(b.i32(word), left), b.i32(kCopyBytes), b.i32(0));
      b.copyAsync(b.at(to, word * stage.wordPitch), b.at(from, word * wordBytesOfPanel()), bytes);
    }
  }

  /// Copies the scales, or zero points, of a stage; there are fewer of 16 bytes
  /// than threads.
  void copyParameters(Value memory, int64_t bytes, int64_t offset, Value index, Value at) {
    int64_t half = stage.rows / 2 * bytes / kCopyBytes;
    Value position = b.mul(b.remainder(thread, half), b.i32(kCopyBytes));
    Value isSecond = b.remainder(b.divided(thread, half), 2);
    Value blockOfStage = b.divided(thread, 2 * half);
    Value first = b.i32(0);
    if (layout.block)
      first = b.divided(b.mul(index, b.i32(stage.columns())), layout.block);
    // Past the last block nothing is multiplied, but it must not be read.
    Value blockOfRow = b.min(b.add(first, blockOfStage), b.i32(layout.blocks() - 1));
    Value blockOfAll = b.add(b.mul(block.panelOfAll(panel), b.i32(layout.blocks())), blockOfRow);
    Value row = b.add(b.mul(isSecond, b.i32(kHalf)), b.mul(slab, b.i32(stage.rows / 2)));
    Value from = b.at(b.at(memory, b.mul(b.toI64(blockOfAll), b.i64(kPanel * bytes))),
                      b.add(b.mul(row, b.i32(bytes)), position));
    b.ifTrue(b.less(thread, b.i32(2 * half * stage.scaledBlocks)), [&] {
      b.copyAsync(b.at(at, b.add(b.mul(thread, b.i32(kCopyBytes)), b.i32(offset))), from);
    });
  }

  /// The bytes of x that are left of a row at this thread's chunk.
  Value bytesLeft(Value index) {
    int64_t elementBytes = matmul.x.getIntOrFloatBitWidth() / 8;
    Value chunk = b.add(b.mul(index, b.i32(stage.tokenChunks)), tokenChunk);
    return b.sub(b.i32(layout.k * elementBytes), b.mul(chunk, b.i32(kCopyBytes)));
  }

  void copyTokens(Value index, Value at) {
    Value left = bytesLeft(index);
    Value bytes = b.max(b.i32(0), b.min(left, b.i32(kCopyBytes)));
    Value chunk = b.add(b.mul(index, b.i32(stage.tokenChunks)), tokenChunk);
    Value offset = b.mul(chunk, b.i32(kCopyBytes));
    for (auto [copy, row] : llvm::enumerate(tokenRows)) {
      Value to = b.at(at, b.add(tokenTo, b.i32(copy * tokensPerCopy() * kCopyBytes)));
      b.copyAsync(to, b.at(block.addressOf(row), offset),
                  b.select(block.isRow(row), bytes, b.i32(0)));
    }
  }

  /// For rows that no vector can be read from.
  void copyTokensByElement(Value index, Value at) {
    int64_t elementBytes = matmul.x.getIntOrFloatBitWidth() / 8;
    int64_t count = kCopyBytes / elementBytes;
    Value left = bytesLeft(index);
    Value chunk = b.add(b.mul(index, b.i32(stage.tokenChunks)), tokenChunk);
    Value offset = b.mul(chunk, b.i32(kCopyBytes));
    b.forEach(firstToken, b.i32(tile.tokens), tokensPerCopy(), [&](Value token) {
      Value row = block.findTokenRow(token), from = block.addressOf(row);
      SmallVector<Value> elements;
      for (int64_t i = 0; i < count; ++i) {
        Value isThere = b.both(block.isRow(row), b.less(b.i32(i * elementBytes), left));
        Value pointer = b.at(from, b.add(offset, b.i32(i * elementBytes)));
        elements.push_back(b.loadIf(isThere, matmul.x, pointer, b.constant(matmul.x, 0)));
      }
      Value to = b.add(b.mul(tokenChunk, b.i32(stage.chunkPitch)),
                       b.add(b.mul(token, b.i32(kCopyBytes)), b.i32(stage.tokensAt())));
      auto type = VectorType::get(count, matmul.x);
      b.store(vector::FromElementsOp::create(b, type, elements), b.at(at, to));
    });
  }

  //===--------------------------------------------------------------------===//
  // Sums.
  //===--------------------------------------------------------------------===//

  void multiply(Value at, MutableArrayRef<Value> sums) {
    if (!block.scales)
      return unit->multiply(at, 0, stage.words, {}, sums);
    int64_t words = stage.words / stage.scaledBlocks;
    for (int64_t scaled = 0; scaled < stage.scaledBlocks; ++scaled) {
      SmallVector<Value> zerosOfRows;
      if (block.zeros)
        zerosOfRows = loadParameters(b.at(at, stage.zerosAt()), WeightType::int8, scaled);
      SmallVector<Value> scalesOfRows =
          loadParameters(b.at(at, stage.scalesAt()), matmul.scales, scaled);
      SmallVector<Value> products(sums.size(), b.constant(b.getF32Type(), 0));
      unit->multiply(at, scaled * words, (scaled + 1) * words, zerosOfRows, products);
      size_t perRow = unit->tokens().size();
      for (auto [i, product] : llvm::enumerate(products))
        sums[i] = b.multiplyAdd(product, scalesOfRows[i / perRow], sums[i]);
    }
  }

  /// Scales as f32, or zero points as i32, of the unit's rows in both halves.
  SmallVector<Value> loadParameters(Value memory, WeightType type, int64_t scaled) {
    Type element = packedType(b.getContext(), layout.perBlock(type)).getElementType();
    int64_t bytes = element.getIntOrFloatBitWidth() / 8;
    SmallVector<Value> values;
    for (int64_t half = 0; half < 2; ++half)
      for (Value row : unit->rows()) {
        Value rowOfWarp = b.add(b.mul(b.warp(), b.i32(tile.rows)), row);
        Value at = b.add(rowOfWarp, b.i32(scaled * stage.rows + half * stage.rows / 2));
        Value value = b.load(element, b.at(memory, b.mul(at, b.i32(bytes))));
        values.push_back(isInteger(type)
                             ? arith::ExtUIOp::create(b, b.getI32Type(), value).getResult()
                             : b.convert(value, b.getF32Type()));
      }
    return values;
  }

  /// The places in their half of the rows of this thread's sums.
  SmallVector<Value> rowsOfHalf() {
    Value first = b.add(b.mul(slab, b.i32(tile.rowsOfHalf())), b.mul(b.warp(), b.i32(tile.rows)));
    return llvm::map_to_vector(unit->rows(), [&](Value row) { return b.add(first, row); });
  }

  BlockBuilder &b;
  const Matmul &matmul;
  const PackedLayout &layout;
  const MatmulTile &tile;
  MatmulStage stage;
  MatmulBlock block;
  std::unique_ptr<MatmulUnit> unit;
  Value thread, panel, slab;
  /// What this thread copies, and where in a stage it goes.
  Value matrixWord, matrixFrom, matrixTo, tokenChunk, firstToken, tokenTo, isAligned;
  SmallVector<Value> tokenRows;
};

MemRefType rowsOf(int64_t columns, Type element) {
  constexpr int64_t kDynamic = ShapedType::kDynamic;
  auto layout = StridedLayoutAttr::get(element.getContext(), kDynamic, {kDynamic, 1});
  return MemRefType::get({kDynamic, columns}, element, layout);
}

} // namespace

int64_t Matmul::columnsOfWord(WeightType weights) { return weights == WeightType::f32 ? 4 : 8; }

bool Matmul::isSupported() const {
  WeightType weights = layout.element;
  if (weights == WeightType::int2)
    return false;
  bool isSame =
      (x.isBF16() && weights == WeightType::bf16) || (x.isF16() && weights == WeightType::f16);
  if (!x.isF32() && !isSame && !isInteger(weights))
    return false;
  // Tensor cores multiply 32 columns at least; a stage ends where a block does.
  constexpr int64_t kLeastBlock = 32;
  int64_t columns = MatmulStage(*this).columns(), block = layout.block;
  return block == 0 || (block % kLeastBlock == 0 && (columns % block == 0 || block % columns == 0));
}

MatmulTile Matmul::tileOf(TileSize size) const {
  // Of groups, several pass by at once, and each is to be done with soon.
  bool keepsMatrix = !hasOffsets && layout.panels() * layout.panelBytes() <= kKeptBytes;
  const int64_t bandTokens = keepsMatrix ? 0 : kBandTokens;
  switch (size) {
  case TileSize::few:
    // Few tokens have few blocks: their work is divided among more warps.
    return {2, 8, 8, 4, bandTokens};
  case TileSize::some:
    return {2, 16, 32, 4, bandTokens};
  case TileSize::many:
    // All sums stay in registers; those of integers are two.
    return {4, 16, x.isF32() || isInteger(layout.element) ? 64 : 96, 3, bandTokens};
  }
  llvm_unreachable("a size without a tile");
}

std::string Matmul::name() const {
  std::string name = "matmul_" + nameOf(layout.element).str();
  if (!x.isF32())
    name += x.isBF16() ? "_by_bf16" : "_by_f16";
  name += "_" + std::to_string(layout.n) + "x" + std::to_string(layout.k);
  if (layout.groups != 1)
    name += "_groups" + std::to_string(layout.groups);
  if (hasRows)
    name += "_rows" + std::to_string(rowDivisor);
  if (hasOffsets)
    name += "_offsets";
  if (hasBias)
    name += "_bias";
  if (activation)
    name += "_" + moe::stringifyFunction(activation.getFunction()).str();
  return name + "_tokens" + std::to_string(tile.tokens);
}

SmallVector<Type> Matmul::argumentTypes(Builder &builder) const {
  Type f32 = builder.getF32Type(), i32 = builder.getI32Type();
  auto packed = [&](const PackedLayout &layout) {
    RankedTensorType type = packedType(builder.getContext(), layout);
    return MemRefType::get(type.getShape(), type.getElementType());
  };
  SmallVector<Type> types{rowsOf(layout.k, x)};
  if (hasRows)
    types.push_back(MemRefType::get(ShapedType::kDynamic, i32));
  if (hasOffsets)
    types.push_back(MemRefType::get(layout.groups + 1, i32));
  types.push_back(packed(layout));
  if (isInteger(layout.element))
    types.push_back(packed(layout.perBlock(scales)));
  if (hasZeros)
    types.push_back(packed(layout.perBlock(WeightType::int8)));
  if (hasBias)
    types.push_back(MemRefType::get({layout.groups, layout.n}, f32));
  types.push_back(rowsOf(layout.resultColumns(), y));
  return types;
}

func::FuncOp Matmul::build(OpBuilder &builder) const {
  BlockShape shape{tile.warps * kWarp, tile.stages * MatmulStage(*this).bytes()};
  return defineBlockKernel(builder, name(), argumentTypes(builder), shape,
                           [&](BlockBuilder &b, ValueRange arguments, Value block) {
                             MatmulEmitter(b, *this, arguments, block).emit();
                           });
}

func::FuncOp Matmul::buildForHopper(OpBuilder &builder) const {
  return hasHopperKernel(*this) ? buildHopperKernel(builder, *this) : func::FuncOp();
}

Value Matmul::grid(OpBuilder &builder, Location loc, Value rows) const {
  TensorBuilder b(builder, loc);
  Value tokens = b.index(tile.tokens), parts = b.index(partsOf(*this));
  if (!hasOffsets)
    return b.mul(parts, arith::CeilDivUIOp::create(b, rows, tokens));
  // Each group leaves at most one tile unfilled, and none is without a row.
  Value full = arith::DivUIOp::create(b, rows, tokens);
  Value tiles = b.min(rows, b.add(full, b.index(layout.groups + 1)));
  return b.mul(parts, tiles);
}

} // namespace moec::cuda
