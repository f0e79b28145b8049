#include "lib/kernels/cpu/KernelBuilder.h"

#include "dialects/rt/RtDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"

using namespace mlir;

namespace moec {

Value KernelBuilder::multiplyAdd(Value a, Value b, Value sum) {
  // vector.fma may become two roundings; this one is exact.
  return chip.fma ? math::FmaOp::create(*this, a, b, sum).getResult() : add(sum, mul(a, b));
}

Value KernelBuilder::broadcast(Value scalar) {
  return vector::BroadcastOp::create(*this, vectorOf(scalar.getType()), scalar);
}

/// Combines halves of the lanes until one is left.
static Value foldLanes(KernelBuilder &b, Value vector, function_ref<Value(Value, Value)> combine) {
  for (int64_t width = b.lanes() / 2; width > 0; width /= 2) {
    auto low = llvm::to_vector(llvm::seq<int64_t>(0, width));
    auto high = llvm::to_vector(llvm::seq<int64_t>(width, 2 * width));
    vector = combine(vector::ShuffleOp::create(b, vector, vector, low),
                     vector::ShuffleOp::create(b, vector, vector, high));
  }
  return vector::ExtractOp::create(b, vector, 0);
}

Value KernelBuilder::sumOfLanes(Value vector) {
  return foldLanes(*this, vector, [&](Value low, Value high) { return add(low, high); });
}

Value KernelBuilder::maximumOfLanes(Value vector) {
  return foldLanes(*this, vector, [&](Value low, Value high) { return max(low, high); });
}

void KernelBuilder::forVectors(int64_t size, function_ref<void(Value, int64_t)> body) {
  int64_t tail = size % lanes();
  if (size != tail)
    forEach(index(0), index(size - tail), lanes(), [&](Value first) { body(first, lanes()); });
  if (tail)
    body(index(size - tail), tail);
}

/// `at`, `lane` elements further.
static SmallVector<Value> further(KernelBuilder &b, ValueRange at, int64_t lane) {
  SmallVector<Value> element(at);
  element.back() = b.add(element.back(), b.index(lane));
  return element;
}

Value KernelBuilder::loadFloats(Value memref, ValueRange at, int64_t count) {
  Type element = cast<MemRefType>(memref.getType()).getElementType();
  if (count == lanes())
    return convert(vector::LoadOp::create(*this, vectorOf(element), memref, at), getF32Type());
  if (element.isF32()) {
    Value mask = vector::ConstantMaskOp::create(*this, vectorOf(getI1Type()), count);
    return vector::MaskedLoadOp::create(*this, vector(), memref, at, mask, constant(vector(), 0));
  }
  // LLVM converts narrow floats there and back where a chip has no masks.
  SmallVector<Value> values(lanes(), constant(getF32Type(), 0));
  for (int64_t lane = 0; lane < count; ++lane)
    values[lane] =
        convert(memref::LoadOp::create(*this, memref, further(*this, at, lane)), getF32Type());
  return vector::FromElementsOp::create(*this, vector(), values);
}

void KernelBuilder::storeFloats(Value vector, Value memref, ValueRange at, int64_t count) {
  Type element = cast<MemRefType>(memref.getType()).getElementType();
  if (count == lanes()) {
    vector::StoreOp::create(*this, convert(vector, element), memref, at);
  } else if (element.isF32()) {
    Value mask = vector::ConstantMaskOp::create(*this, vectorOf(getI1Type()), count);
    vector::MaskedStoreOp::create(*this, memref, at, mask, vector);
  } else {
    for (int64_t lane = 0; lane < count; ++lane) {
      Value value = vector::ExtractOp::create(*this, vector, lane);
      memref::StoreOp::create(*this, convert(value, element), memref, further(*this, at, lane));
    }
  }
}

Value KernelBuilder::loadIndex(Value memref, ValueRange at) {
  return convert(memref::LoadOp::create(*this, memref, at), getIndexType());
}

func::FuncOp defineKernel(OpBuilder &builder, const Chip &chip, StringRef name,
                          ArrayRef<Type> types,
                          function_ref<void(KernelBuilder &, ValueRange)> body) {
  // Equal kernels are shared, so a kernel has no location of its own.
  Location loc = builder.getUnknownLoc();
  SmallVector<Type> arguments(types);
  arguments.append(2, builder.getIndexType());
  auto kernel = func::FuncOp::create(builder, loc, name, builder.getFunctionType(arguments, {}));
  kernel->setAttr(rt::LaunchOp::kKernelAttr, builder.getUnitAttr());
  kernel.setPrivate();
  Block *entry = kernel.addEntryBlock();
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(entry);
  KernelBuilder b(builder, loc, chip);
  body(b, entry->getArguments());
  func::ReturnOp::create(b);
  return kernel;
}

} // namespace moec
