#include "passes/lower/Descriptors.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;

namespace moec {

DynamicLayout::DynamicLayout(MemRefType type) {
  for (int64_t dim = 0; dim < type.getRank(); ++dim)
    if (type.isDynamicDim(dim))
      sizes.push_back(dim);
  if (type.getLayout().isIdentity())
    return;
  auto [staticStrides, offset] = type.getStridesAndOffset();
  for (auto [dim, stride] : llvm::enumerate(staticStrides))
    if (ShapedType::isDynamic(stride))
      strides.push_back(dim);
}

Value makeMemRef(OpBuilder &builder, Location loc, const LLVMTypeConverter &converter,
                 MemRefType type, Value pointer, ValueRange sizes, ValueRange strides) {
  auto descriptor = MemRefDescriptor::poison(builder, loc, converter.convertType(type));
  auto [staticStrides, staticOffset] = type.getStridesAndOffset();
  // `pointer` is that of the first element; accesses add an offset that the
  // type states.
  int64_t offset = ShapedType::isDynamic(staticOffset) ? 0 : staticOffset;
  if (offset)
    pointer = LLVM::GEPOp::create(builder, loc, pointer.getType(),
                                  converter.convertType(type.getElementType()), pointer,
                                  ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(-offset)});
  descriptor.setAllocatedPtr(builder, loc, pointer);
  descriptor.setAlignedPtr(builder, loc, pointer);
  descriptor.setConstantOffset(builder, loc, offset);
  SmallVector<Value> allSizes;
  for (int64_t dim = 0; dim < type.getRank(); ++dim) {
    Value size;
    if (type.isDynamicDim(dim)) {
      size = sizes.front();
      sizes = sizes.drop_front();
    } else {
      size =
          LLVM::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(type.getDimSize(dim)));
    }
    allSizes.push_back(size);
    descriptor.setSize(builder, loc, dim, size);
  }
  if (type.getLayout().isIdentity()) {
    Value running;
    for (int64_t dim = type.getRank() - 1; dim >= 0; --dim) {
      if (!ShapedType::isDynamic(staticStrides[dim]))
        running =
            LLVM::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(staticStrides[dim]));
      else
        running = LLVM::MulOp::create(builder, loc, running, allSizes[dim + 1]);
      descriptor.setStride(builder, loc, dim, running);
    }
  } else {
    for (auto [dim, stride] : llvm::enumerate(staticStrides)) {
      if (ShapedType::isDynamic(stride)) {
        descriptor.setStride(builder, loc, dim, strides.front());
        strides = strides.drop_front();
      } else {
        descriptor.setConstantStride(builder, loc, dim, stride);
      }
    }
  }
  Value value = descriptor;
  return UnrealizedConversionCastOp::create(builder, loc, type, value).getResult(0);
}

MemRefDescriptor descriptorOf(OpBuilder &builder, Location loc, const LLVMTypeConverter &converter,
                              Value memref) {
  Type type = converter.convertType(memref.getType());
  return MemRefDescriptor(
      UnrealizedConversionCastOp::create(builder, loc, type, memref).getResult(0));
}

Value firstElement(OpBuilder &builder, Location loc, const LLVMTypeConverter &converter,
                   MemRefType type, MemRefDescriptor descriptor) {
  return descriptor.bufferPtr(builder, loc, converter, type);
}

Value loadWord(OpBuilder &builder, Location loc, Value base, Type type, int64_t index) {
  Type pointer = LLVM::LLVMPointerType::get(builder.getContext());
  Value address = LLVM::GEPOp::create(builder, loc, pointer, builder.getI64Type(), base,
                                      ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(index)});
  return LLVM::LoadOp::create(builder, loc, type, address);
}

} // namespace moec
