//===- LowerHost.cpp - the host program calls the runtime's services ------===//
#include "passes/Passes.h"

#include "dialects/onnx/OnnxDialect.h"
#include "dialects/rt/RtDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "moec/module_abi.h"
#include "passes/ElementBytes.h"
#include "passes/lower/Descriptors.h"
#include "llvm/ADT/MapVector.h"

namespace moec {
#define GEN_PASS_DEF_LOWERHOSTPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;

namespace moec {
namespace {

/// Members of moec_services, in order.
enum class Service { arena, allocate, release, output, launch, fail, read };

/// Words of a moec_view: data, sizes, strides.
constexpr int64_t kViewWords = 1 + 2 * MOEC_MAX_RANK;

/// The name of the ONNX node an operation comes from.
StringAttr nodeName(Operation *op) {
  return StringAttr::get(op->getContext(), onnxName(op->getLoc()));
}

class HostLowering {
public:
  explicit HostLowering(func::FuncOp main)
      : main(main), builder(main.getContext()), converter(main.getContext()),
        pointer(LLVM::LLVMPointerType::get(main.getContext())), word(builder.getI64Type()) {}

  void run() {
    lowerSignature();
    main.walk([&](Operation *op) {
      builder.setInsertionPoint(op);
      if (auto load = dyn_cast<rt::LoadWeightOp>(op))
        lower(load);
      else if (auto output = dyn_cast<rt::OutputOp>(op))
        lower(output);
      else if (auto arena = dyn_cast<rt::ArenaOp>(op))
        lower(arena);
      else if (auto launch = dyn_cast<rt::LaunchOp>(op))
        lower(launch);
      else if (auto read = dyn_cast<rt::ReadOp>(op))
        lower(read);
      else if (auto alloc = dyn_cast<memref::AllocOp>(op))
        lower(alloc);
      else if (auto dealloc = dyn_cast<memref::DeallocOp>(op))
        lower(dealloc);
    });
    recordTables();
  }

private:
  Value constant(int64_t value) {
    return LLVM::ConstantOp::create(builder, main.getLoc(), builder.getI64IntegerAttr(value));
  }
  Value constant32(int64_t value) {
    return LLVM::ConstantOp::create(builder, main.getLoc(), builder.getI32IntegerAttr(value));
  }
  Value toWord(Location loc, Value index) {
    return arith::IndexCastOp::create(builder, loc, word, index);
  }

  /// A table of `words` words on the stack of the entry block, where loops do
  /// not grow it.
  Value stackTable(int64_t words) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(&main.front());
    return LLVM::AllocaOp::create(builder, main.getLoc(), pointer, word, constant(words), 8);
  }

  void storeWord(Location loc, Value table, int64_t index, Value value) {
    Value address = LLVM::GEPOp::create(builder, loc, pointer, word, table,
                                        ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(index)});
    LLVM::StoreOp::create(builder, loc, value, address);
  }

  LLVM::CallOp call(Location loc, Service service, Type result, ArrayRef<Value> arguments) {
    Value function = loadWord(builder, loc, services, pointer, static_cast<int64_t>(service));
    SmallVector<Value> operands{function, callState};
    llvm::append_range(operands, arguments);
    SmallVector<Type> types{pointer};
    for (Value argument : arguments)
      types.push_back(argument.getType());
    auto type = LLVM::LLVMFunctionType::get(
        result ? result : LLVM::LLVMVoidType::get(builder.getContext()), types);
    return LLVM::CallOp::create(builder, loc, type, operands);
  }

  Value readView(Location loc, Value view, MemRefType type) {
    DynamicLayout dynamic(type);
    SmallVector<Value> sizes, strides;
    for (unsigned dim : dynamic.sizes)
      sizes.push_back(loadWord(builder, loc, view, word, 1 + dim));
    for (unsigned dim : dynamic.strides)
      strides.push_back(loadWord(builder, loc, view, word, 1 + MOEC_MAX_RANK + dim));
    return makeMemRef(builder, loc, converter, type, loadWord(builder, loc, view, pointer, 0),
                      sizes, strides);
  }

  void lowerSignature() {
    Block &entry = main.front();
    Location loc = main.getLoc();
    unsigned count = entry.getNumArguments();
    SmallVector<Attribute> inputs;
    for (unsigned i = 0; i < count; ++i) {
      NamedAttrList description(main.getArgAttrDict(i));
      description.set("rt.type", TypeAttr::get(entry.getArgument(i).getType()));
      inputs.push_back(description.getDictionary(main.getContext()));
    }
    callState = entry.addArgument(pointer, loc);
    services = entry.addArgument(pointer, loc);
    Value views = entry.addArgument(pointer, loc);
    weights = entry.addArgument(pointer, loc);
    builder.setInsertionPointToStart(&entry);
    for (unsigned i = 0; i < count; ++i) {
      auto type = cast<MemRefType>(entry.getArgument(i).getType());
      Value view = LLVM::GEPOp::create(builder, loc, pointer, word, views,
                                       ArrayRef<LLVM::GEPArg>{int32_t(i * kViewWords)});
      entry.getArgument(i).replaceAllUsesWith(readView(loc, view, type));
    }
    entry.eraseArguments(0, count);
    main.removeArgAttrsAttr();
    main.setType(
        builder.getFunctionType({pointer, pointer, pointer, pointer}, {builder.getI32Type()}));
    auto terminator = cast<func::ReturnOp>(entry.getTerminator());
    builder.setInsertionPoint(terminator);
    func::ReturnOp::create(builder, loc, constant32(0));
    terminator.erase();
    main->setAttr("rt.inputs", builder.getArrayAttr(inputs));
    main.setName("moec_entry");
  }

  void lower(rt::LoadWeightOp op) {
    auto [entry, isNew] = slots.insert({op.getWeightAttr().getAttr(), slots.size()});
    Value data = loadWord(builder, op.getLoc(), weights, pointer, entry->second);
    replace(op, makeMemRef(builder, op.getLoc(), converter, cast<MemRefType>(op.getType()), data,
                           {}, {}));
  }

  void lower(rt::OutputOp op) {
    Location loc = op.getLoc();
    auto type = cast<MemRefType>(op.getType());
    Value sizes = stackTable(std::max<int64_t>(type.getRank(), 1));
    Value view = stackTable(kViewWords);
    OperandRange dynamic = op.getSizes();
    for (int64_t dim = 0; dim < type.getRank(); ++dim) {
      Value size = constant(type.getDimSize(dim));
      if (type.isDynamicDim(dim)) {
        size = toWord(loc, dynamic.front());
        dynamic = dynamic.drop_front();
      }
      storeWord(loc, sizes, dim, size);
    }
    call(loc, Service::output, {}, {constant32(op.getIndex()), sizes, view});
    replace(op, readView(loc, view, type));
  }

  void lower(rt::ArenaOp op) {
    Location loc = op.getLoc();
    Value bytes = toWord(loc, op.getBytes());
    Value memory = call(loc, Service::arena, pointer, {bytes}).getResult();
    replace(op,
            makeMemRef(builder, loc, converter, cast<MemRefType>(op.getType()), memory, bytes, {}));
  }

  void lower(memref::AllocOp op) {
    Location loc = op.getLoc();
    MemRefType type = op.getType();
    int64_t bytesPerStep = elementBytes(type);
    SmallVector<Value> sizes;
    for (int64_t dim = 0, next = 0; dim < type.getRank(); ++dim)
      if (type.isDynamicDim(dim))
        sizes.push_back(toWord(loc, op.getDynamicSizes()[next++]));
      else
        bytesPerStep *= type.getDimSize(dim);
    Value bytes = constant(bytesPerStep);
    for (Value size : sizes)
      bytes = LLVM::MulOp::create(builder, loc, bytes, size);
    Value memory = call(loc, Service::allocate, pointer, {bytes}).getResult();
    replace(op, makeMemRef(builder, loc, converter, type, memory, sizes, {}));
  }

  void lower(memref::DeallocOp op) {
    Location loc = op.getLoc();
    auto descriptor = descriptorOf(builder, loc, converter, op.getMemref());
    call(loc, Service::release, {}, {descriptor.allocatedPtr(builder, loc)});
    op.erase();
  }

  void lower(rt::LaunchOp op) {
    Location loc = op.getLoc();
    auto offsets = op->getAttrOfType<IntegerAttr>(rt::LaunchOp::kOffsetsAttr);
    NamedAttrList site;
    SmallVector<Value> words;
    for (auto [index, operand] : llvm::enumerate(llvm::concat<Value>(
             SmallVector<Value>(op.getInputs()), SmallVector<Value>(op.getOutputs())))) {
      if (offsets && offsets.getInt() == static_cast<int64_t>(index)) {
        int64_t experts = cast<MemRefType>(operand.getType()).getDimSize(0) - 1;
        site.set("experts", builder.getI64IntegerAttr(experts));
        site.set("word", builder.getI64IntegerAttr(words.size() + 1));
      }
      appendWords(loc, operand, words);
    }
    int64_t count = words.size() + 1;
    Value table = stackTable(count);
    for (auto [index, value] : llvm::enumerate(words))
      storeWord(loc, table, index + 1, value);
    call(loc, Service::launch, {},
         {constant32(sites.size()), table, constant(count), toWord(loc, op.getGrid())});
    auto [entry, isNew] = kernels.insert({op.getKernelAttr().getAttr(), kernels.size()});
    auto kind = op->getAttrOfType<StringAttr>("rt.op");
    site.set("kernel", builder.getI64IntegerAttr(entry->second));
    site.set("name", nodeName(op));
    site.set("op", kind ? kind : op.getKernelAttr().getAttr());
    sites.push_back(site.getDictionary(main.getContext()));
    op.erase();
  }

  void lower(rt::ReadOp op) {
    Location loc = op.getLoc();
    auto type = cast<MemRefType>(op.getElement().getType());
    auto descriptor = descriptorOf(builder, loc, converter, op.getElement());
    Value element = firstElement(builder, loc, converter, type, descriptor);
    Value result = stackTable(1);
    call(loc, Service::read, {}, {element, result, constant(elementBytes(type))});
    Type stored = op.getType().isIndex() ? word : op.getType();
    Value value = LLVM::LoadOp::create(builder, loc, stored, result);
    if (stored != op.getType())
      value = arith::IndexCastOp::create(builder, loc, op.getType(), value);
    replace(op, value);
    ++reads;
  }

  void appendWords(Location loc, Value operand, SmallVectorImpl<Value> &words) {
    if (auto type = dyn_cast<MemRefType>(operand.getType())) {
      auto descriptor = descriptorOf(builder, loc, converter, operand);
      words.push_back(firstElement(builder, loc, converter, type, descriptor));
      DynamicLayout dynamic(type);
      for (unsigned dim : dynamic.sizes)
        words.push_back(descriptor.size(builder, loc, dim));
      for (unsigned dim : dynamic.strides)
        words.push_back(descriptor.stride(builder, loc, dim));
    } else if (operand.getType().isIndex()) {
      words.push_back(toWord(loc, operand));
    } else {
      words.push_back(operand);
    }
  }

  void replace(Operation *op, Value value) {
    op->getResult(0).replaceAllUsesWith(value);
    op->erase();
  }

  /// What the metadata lists, by the numbers that the code uses.
  void recordTables() {
    auto names = [&](const llvm::MapVector<StringAttr, int64_t> &table) {
      SmallVector<Attribute> ordered;
      for (const auto &[name, number] : table)
        ordered.push_back(name);
      return builder.getArrayAttr(ordered);
    };
    main->setAttr("rt.weights", names(slots));
    main->setAttr("rt.kernels", names(kernels));
    main->setAttr("rt.sites", builder.getArrayAttr(sites));
    main->setAttr("rt.reads", builder.getI64IntegerAttr(reads));
  }

  func::FuncOp main;
  OpBuilder builder;
  LLVMTypeConverter converter;
  Type pointer, word;
  Value callState, services, weights;
  llvm::MapVector<StringAttr, int64_t> slots, kernels;
  SmallVector<Attribute> sites;
  int64_t reads = 0;
};

struct LowerHostPass : impl::LowerHostPassBase<LowerHostPass> {
  void runOnOperation() override {
    if (auto main = getOperation().lookupSymbol<func::FuncOp>("main"))
      HostLowering(main).run();
  }
};

} // namespace
} // namespace moec
