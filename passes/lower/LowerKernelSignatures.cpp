//===- LowerKernelSignatures.cpp - kernels take a table of arguments ------===//
#include "passes/Passes.h"

#include "dialects/rt/RtDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/lower/Descriptors.h"

namespace moec {
#define GEN_PASS_DEF_LOWERKERNELSIGNATURESPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;

namespace moec {
namespace {

/// Reads the arguments of a kernel one after the other; word 0 is the status.
class ArgumentReader {
public:
  ArgumentReader(OpBuilder &builder, const LLVMTypeConverter &converter, Value table)
      : builder(builder), converter(converter), table(table) {}

  Value read(Location loc, Type type) {
    if (auto memref = dyn_cast<MemRefType>(type)) {
      Value pointer = next(loc, LLVM::LLVMPointerType::get(builder.getContext()));
      DynamicLayout dynamic(memref);
      SmallVector<Value> sizes, strides;
      for (size_t i = 0; i < dynamic.sizes.size(); ++i)
        sizes.push_back(next(loc, builder.getI64Type()));
      for (size_t i = 0; i < dynamic.strides.size(); ++i)
        strides.push_back(next(loc, builder.getI64Type()));
      return makeMemRef(builder, loc, converter, memref, pointer, sizes, strides);
    }
    if (type.isIndex())
      return arith::IndexCastOp::create(builder, loc, type, next(loc, builder.getI64Type()));
    // Little-endian: the low bytes of the word are the scalar.
    return next(loc, type);
  }

  /// How many words have been read, the status included.
  int64_t words() const { return word; }

private:
  Value next(Location loc, Type type) { return loadWord(builder, loc, table, type, word++); }

  OpBuilder &builder;
  const LLVMTypeConverter &converter;
  Value table;
  int64_t word = 1;
};

struct LowerKernelSignaturesPass : impl::LowerKernelSignaturesPassBase<LowerKernelSignaturesPass> {
  void runOnOperation() override {
    LLVMTypeConverter converter(&getContext());
    for (auto kernel : getOperation().getOps<func::FuncOp>())
      if (kernel->hasAttr(rt::LaunchOp::kKernelAttr) && !kernel.isExternal())
        lower(kernel, converter);
  }

  void lower(func::FuncOp kernel, const LLVMTypeConverter &converter) {
    OpBuilder builder(kernel);
    Location loc = kernel.getLoc();
    Block &entry = kernel.front();
    unsigned count = entry.getNumArguments();
    Type pointer = LLVM::LLVMPointerType::get(&getContext());
    Type index = builder.getI64Type();
    Value table = entry.addArgument(pointer, loc);
    Value begin = entry.addArgument(index, loc);
    Value end = entry.addArgument(index, loc);
    builder.setInsertionPointToStart(&entry);
    ArgumentReader reader(builder, converter, table);
    for (unsigned i = 0; i < count; ++i) {
      Value value;
      if (i + 2 < count)
        value = reader.read(loc, entry.getArgument(i).getType());
      else
        value = arith::IndexCastOp::create(builder, loc, builder.getIndexType(),
                                           i + 2 == count ? begin : end);
      entry.getArgument(i).replaceAllUsesWith(value);
    }
    entry.eraseArguments(0, count);
    kernel.setType(builder.getFunctionType({pointer, index, index}, {}));
    kernel.setPublic();
    kernel->setAttr(rt::LaunchOp::kWordsAttr, builder.getI64IntegerAttr(reader.words()));
  }
};

} // namespace
} // namespace moec
