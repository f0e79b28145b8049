#include "lib/kernels/cpu/Matmul.h"

#include "dialects/moe/Activation.h"
#include "lib/kernels/KernelArguments.h"
#include "lib/kernels/cpu/MatmulDot.h"
#include "lib/kernels/cpu/QuantizeRows.h"
#include "lib/weights/Pack.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moec {
namespace {

/// Rows of a dense product that one grid index computes: many enough that a
/// panel read from memory is used often, few enough to occupy all threads.
constexpr int64_t kRowsPerBlock = 96;
/// Columns of x that share a scale, where weights have one per row.
constexpr int64_t kActivationBlock = 128;

PanelVectors vectorsOf(const PackedLayout &layout, const MatmulTile &tile, int64_t columns) {
  PanelVectors result;
  for (int64_t half = 0; half < (layout.isGated() ? 2 : 1); ++half)
    for (int64_t column = 0; column < columns; column += tile.lanes) {
      result.offsets.push_back(half * layout.resultWidth() + column);
      result.counts.push_back(std::min(tile.lanes, columns - column));
    }
  return result;
}

/// Emits the body of one matmul kernel.
class MatmulEmitter {
public:
  MatmulEmitter(KernelBuilder &b, const Matmul &matmul, const Chip &chip, ValueRange arguments)
      : b(b), matmul(matmul), layout(matmul.layout), chip(chip), tile(matmulTile(chip, matmul.x)),
        vector(VectorType::get(tile.lanes, b.getF32Type())) {
    auto next = [&](bool isPresent = true) { return takeArgument(arguments, isPresent); };
    operands.x = next();
    if (matmul.x == Rows::int8) {
      operands.xScales = next();
      operands.xSums = next();
    }
    rows = next(matmul.hasRows);
    offsets = next(matmul.hasOffsets);
    operands.weights = next();
    operands.scales = next(isInteger(layout.element));
    operands.zeros = next(static_cast<bool>(matmul.zeros));
    bias = next(matmul.hasBias);
    y = next();
    begin = next();
    end = next();
  }

  void emit() {
    Value total = memref::DimOp::create(b, y, 0);
    b.forEach(begin, end, 1, [&](Value index) {
      if (matmul.hasOffsets)
        emitGrouped(index, total);
      else
        emitDense(index, total);
    });
  }

private:
  /// Indices are (group, panel); one group more stands for the rows past all.
  void emitGrouped(Value index, Value total) {
    Value panels = b.index(layout.panels()), groups = b.index(layout.groups);
    group = arith::DivUIOp::create(b, index, panels);
    Value panel = arith::RemUIOp::create(b, index, panels);
    Value first = b.loadIndex(offsets, group);
    b.ifElse(
        b.less(group, groups),
        [&] {
          Value next = b.add(group, b.index(1));
          emitPanel(panel, first, b.loadIndex(offsets, next));
        },
        [&] { emitZeros(panel, first, total); });
  }

  /// Indices are (panel, block of rows).
  void emitDense(Value index, Value total) {
    Value size = b.index(kRowsPerBlock);
    Value blocks = arith::CeilDivUIOp::create(b, total, size);
    group = b.index(0);
    Value panel = arith::DivUIOp::create(b, index, blocks);
    Value first = b.mul(arith::RemUIOp::create(b, index, blocks), size);
    emitPanel(panel, first, arith::MinUIOp::create(b, b.add(first, size), total));
  }

  int64_t fullPanels() const { return layout.resultColumns() / layout.resultWidth(); }

  /// Runs `body` with the columns of `panel`, which are fewer in the last.
  void withColumns(Value panel, function_ref<void(int64_t)> body) {
    int64_t tail = layout.resultColumns() % layout.resultWidth();
    if (tail == 0)
      return body(layout.resultWidth());
    if (fullPanels() == 0)
      return body(tail);
    b.ifElse(
        b.less(panel, b.index(fullPanels())), [&] { body(layout.resultWidth()); },
        [&] { body(tail); });
  }

  void emitPanel(Value panel, Value first, Value last) {
    withColumns(panel, [&](int64_t columns) {
      PanelVectors vectors = vectorsOf(layout, tile, columns);
      Value rest = arith::RemUIOp::create(b, b.sub(last, first), b.index(tile.rows));
      Value full = b.sub(last, rest);
      b.forEach(first, full, tile.rows,
                [&](Value row) { emitRows(vectors, panel, row, tile.rows); });
      auto cases = llvm::to_vector(llvm::seq<int64_t>(1, tile.rows));
      auto remainder = scf::IndexSwitchOp::create(b, TypeRange{}, rest, cases, cases.size());
      OpBuilder::InsertionGuard guard(b);
      for (auto [region, count] : llvm::zip(remainder.getCaseRegions(), cases)) {
        b.setInsertionPointToStart(&region.emplaceBlock());
        emitRows(vectors, panel, full, count);
        scf::YieldOp::create(b);
      }
      b.setInsertionPointToStart(&remainder.getDefaultRegion().emplaceBlock());
      scf::YieldOp::create(b);
    });
  }

  void emitZeros(Value panel, Value first, Value last) {
    withColumns(panel, [&](int64_t columns) {
      PanelVectors vectors = vectorsOf(layout, tile, columns);
      unsigned results = vectors.offsets.size() / (layout.isGated() ? 2 : 1);
      SmallVector<Value> zeros(results, b.constant(vector, 0));
      b.forEach(first, last, 1, [&](Value row) { store(vectors, panel, row, zeros); });
    });
  }

  /// Computes `count` rows from `row` on, of one panel.
  void emitRows(const PanelVectors &vectors, Value panel, Value row, int64_t count) {
    SmallVector<Value> sources;
    for (int64_t i = 0; i < count; ++i)
      sources.push_back(sourceRow(b.add(row, b.index(i))));
    size_t width = vectors.offsets.size();
    SmallVector<Value> sums = emitDots(b, matmul, chip, operands, group, panel, vectors, sources);
    for (int64_t i = 0; i < count; ++i) {
      MutableArrayRef<Value> sumsOfRow = MutableArrayRef(sums).slice(i * width, width);
      store(vectors, panel, b.add(row, b.index(i)), epilogue(vectors, panel, sumsOfRow));
    }
  }

  Value sourceRow(Value row) {
    if (!rows)
      return row;
    Value source = b.loadIndex(rows, row);
    return matmul.rowDivisor == 1
               ? source
               : arith::DivUIOp::create(b, source, b.index(matmul.rowDivisor)).getResult();
  }

  SmallVector<Value> epilogue(const PanelVectors &vectors, Value panel, ArrayRef<Value> sums) {
    SmallVector<Value> values(sums);
    if (bias)
      for (auto [value, addend] : llvm::zip(values, biases(vectors, panel)))
        value = b.add(value, addend);
    if (!matmul.activation)
      return values;
    SmallVector<Value> results;
    size_t count = values.size() / (layout.isGated() ? 2 : 1);
    for (size_t i = 0; i < count; ++i)
      results.push_back(moe::activate(b, matmul.activation, values[i],
                                      layout.isGated() ? values[count + i] : Value()));
    return results;
  }

  /// What is added to each vector of a panel.
  SmallVector<Value> biases(const PanelVectors &vectors, Value panel) {
    size_t count = vectors.offsets.size() / (layout.isGated() ? 2 : 1);
    Value first = b.mul(panel, b.index(layout.resultWidth()));
    SmallVector<Value> result(vectors.offsets.size());
    for (size_t i = 0; i < count; ++i) {
      Value column = b.add(first, b.index(i * tile.lanes));
      if (layout.gate == GateRows::interleaved) {
        Value pairs = loadBias(b.mul(column, b.index(2)), 2 * vectors.counts[i], 2 * tile.lanes);
        auto split = vector::DeinterleaveOp::create(b, pairs);
        result[i] = split.getRes1();
        result[count + i] = split.getRes2();
        continue;
      }
      result[i] = loadBias(column, vectors.counts[i], tile.lanes);
      if (layout.isGated())
        result[count + i] =
            loadBias(b.add(column, b.index(layout.resultColumns())), vectors.counts[i], tile.lanes);
    }
    return result;
  }

  /// `count` elements of the group's bias, and zeros up to `width`.
  Value loadBias(Value row, int64_t count, int64_t width) {
    auto type = VectorType::get(width, b.getF32Type());
    if (count == width)
      return vector::LoadOp::create(b, type, bias, ValueRange{group, row});
    Value mask = vector::ConstantMaskOp::create(b, type.clone(b.getI1Type()), count);
    return vector::MaskedLoadOp::create(b, type, bias, ValueRange{group, row}, mask,
                                        b.constant(type, 0));
  }

  void store(const PanelVectors &vectors, Value panel, Value row, ArrayRef<Value> values) {
    Value column = b.mul(panel, b.index(layout.resultWidth()));
    for (auto [i, value] : llvm::enumerate(values)) {
      SmallVector<Value> at{row, b.add(column, b.index(i * tile.lanes))};
      if (vectors.counts[i] == tile.lanes) {
        vector::StoreOp::create(b, value, y, at);
        continue;
      }
      auto lanes = VectorType::get(tile.lanes, b.getI1Type());
      Value mask = vector::ConstantMaskOp::create(b, lanes, vectors.counts[i]);
      vector::MaskedStoreOp::create(b, y, at, mask, value);
    }
  }

  KernelBuilder &b;
  const Matmul &matmul;
  const PackedLayout &layout;
  const Chip &chip;
  MatmulTile tile;
  VectorType vector;
  MatmulOperands operands;
  Value rows, offsets, bias, y, begin, end;
  Value group;
};

SmallVector<Type> argumentTypes(Builder &builder, const Matmul &matmul) {
  const PackedLayout &layout = matmul.layout;
  Type f32 = builder.getF32Type(), i32 = builder.getI32Type();
  constexpr int64_t kDynamic = ShapedType::kDynamic;
  auto packed = [&](const PackedLayout &layout) {
    RankedTensorType type = packedType(builder.getContext(), layout);
    return MemRefType::get(type.getShape(), type.getElementType());
  };
  SmallVector<Type> types;
  if (matmul.x == Rows::int8) {
    types = QuantizeRows{layout.k, matmul.block()}.resultTypes(builder);
  } else {
    types = {contiguousRows({ShapedType::kDynamic, layout.k},
                            matmul.x == Rows::bf16 ? builder.getBF16Type() : f32)};
  }
  if (matmul.hasRows)
    types.push_back(MemRefType::get(kDynamic, i32));
  if (matmul.hasOffsets)
    types.push_back(MemRefType::get(layout.groups + 1, i32));
  types.push_back(packed(layout));
  if (isInteger(layout.element))
    types.push_back(packed(layout.perBlock(matmul.scales)));
  if (matmul.zeros)
    types.push_back(packed(layout.perBlock(*matmul.zeros)));
  if (matmul.hasBias)
    types.push_back(MemRefType::get({layout.groups, layout.n}, f32));
  types.push_back(contiguousRows({ShapedType::kDynamic, layout.resultColumns()}, f32));
  return types;
}

} // namespace

MatmulTile matmulTile(const Chip &chip, Rows rows) {
  // All sums of a tile stay in registers, next to a column of weights, one
  // element of x and, without fused multiply-add, one product.
  MatmulTile tile;
  bool isWide = chip.vectorRegisters == 32;
  tile.lanes = chip.lanes(32);
  tile.vectors = isWide && rows != Rows::int8 ? 4 : 2;
  tile.rows = chip.fma ? 6 : 5;
  // Each sum is two: the block's and all.
  if (rows == Rows::int8)
    tile.rows = isWide ? 4 : 2;
  return tile;
}

int64_t Matmul::block() const {
  if (layout.block && layout.block < layout.k)
    return layout.block;
  return x == Rows::int8 ? std::min(kActivationBlock, layout.k) : layout.k;
}

std::string Matmul::name() const {
  std::string name = "matmul_" + nameOf(layout.element).str();
  if (x != Rows::f32)
    name += x == Rows::bf16 ? "_by_bf16" : "_by_int8";
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
  return name;
}

func::FuncOp Matmul::build(OpBuilder &builder, const Chip &chip) const {
  return defineKernel(builder, chip, name(), argumentTypes(builder, *this),
                      [&](KernelBuilder &b, ValueRange arguments) {
                        MatmulEmitter(b, *this, chip, arguments).emit();
                      });
}

Value Matmul::grid(OpBuilder &builder, Location loc, Value rows) const {
  TensorBuilder b(builder, loc);
  Value panels = b.index(layout.panels());
  if (hasOffsets)
    return b.mul(panels, b.index(layout.groups + 1));
  return b.mul(panels, arith::CeilDivUIOp::create(b, rows, b.index(kRowsPerBlock)));
}

} // namespace moec
