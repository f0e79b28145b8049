#include "lib/kernels/cuda/RowFloats.h"

#include "lib/kernels/KernelArguments.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moec::cuda {

RowMemory::RowMemory(BlockBuilder &b, Value memref)
    : type(cast<MemRefType>(memref.getType()).getElementType()), base(b.globalMemory(memref)) {
  if (cast<MemRefType>(memref.getType()).getRank() == 1)
    return;
  auto metadata = memref::ExtractStridedMetadataOp::create(b, memref);
  for (Value stride : ValueRange(metadata.getStrides()).drop_back())
    steps.push_back(b.mul(b.toI64(stride), b.i64(bytesOf(type))));
}

Value RowMemory::row(BlockBuilder &b, ValueRange indices) const {
  Value pointer = base;
  for (auto [index, step] : llvm::zip_equal(indices, steps))
    pointer = b.at(pointer, b.mul(b.toI64(index), step));
  return pointer;
}

Value RowMemory::at(BlockBuilder &b, ValueRange indices) const {
  return b.at(row(b, indices.drop_back()), b.mul(b.toI64(indices.back()), b.i64(bytesOf(type))));
}

Value RowMemory::alignment(BlockBuilder &b) const {
  Value bits = LLVM::PtrToIntOp::create(b, b.getI64Type(), base);
  for (Value step : steps)
    bits = arith::OrIOp::create(b, bits, step);
  return bits;
}

RowMemory takeRows(BlockBuilder &b, ValueRange &arguments, bool isPresent) {
  Value memref = takeArgument(arguments, isPresent);
  return memref ? RowMemory(b, memref) : RowMemory();
}

Value areAligned(BlockBuilder &b, ArrayRef<RowMemory> memories) {
  Value bits = b.i64(0);
  for (const RowMemory &memory : memories)
    if (memory)
      bits = arith::OrIOp::create(b, bits, memory.alignment(b));
  return b.equal(b.remainder(bits, kUnitBytes), b.i64(0));
}

SmallVector<Value> loadFloats(BlockBuilder &b, Type element, Value pointer, int64_t count) {
  int64_t together = std::min(count, elementsOfUnit(element));
  SmallVector<Value> values;
  for (int64_t first = 0; first < count; first += together) {
    Value unit =
        b.load(VectorType::get(together, element), b.at(pointer, first * bytesOf(element)));
    for (int64_t i = 0; i < together; ++i)
      values.push_back(b.convert(vector::ExtractOp::create(b, unit, i), b.getF32Type()));
  }
  return values;
}

void storeFloats(BlockBuilder &b, ValueRange values, Type element, Value pointer) {
  int64_t count = values.size(), together = std::min(count, elementsOfUnit(element));
  for (int64_t first = 0; first < count; first += together) {
    SmallVector<Value> unit;
    for (Value value : values.slice(first, together))
      unit.push_back(b.convert(value, element));
    b.store(vector::FromElementsOp::create(b, VectorType::get(together, element), unit),
            b.at(pointer, first * bytesOf(element)));
  }
}

} // namespace moec::cuda
