//===- PlanMemory.cpp - intermediates get places in one arena -------------===//
#include "passes/Passes.h"

#include "dialects/rt/RtDialect.h"
#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Analysis/TopologicalSortUtils.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/Transforms/BufferViewFlowAnalysis.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "passes/ElementBytes.h"
#include "passes/memory/ArenaPlan.h"
#include "passes/memory/SizeText.h"

namespace moec {
#define GEN_PASS_DEF_PLANMEMORYPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;

namespace moec {
namespace {

constexpr int64_t kAlignment = 64;

/// Buffers whose sizes are multiples of one product of dimensions. Their
/// offsets are multiples of it too, so they can share memory at compile time.
struct SizeClass {
  SmallVector<Value> product;
  SmallVector<memref::AllocOp> allocs;
  SmallVector<ArenaBuffer> buffers;
};

class MemoryPlanner {
public:
  explicit MemoryPlanner(func::FuncOp main) : main(main), aliases(main) {
    for (auto [position, op] : llvm::enumerate(main.front()))
      positions[&op] = position;
  }

  void run() {
    int64_t allocs = 0, placed = 0;
    main.walk([&](memref::AllocOp alloc) {
      ++allocs;
      classify(alloc);
    });
    for (SizeClass &group : classes)
      placed += group.allocs.size();
    main->setAttr("rt.heap_buffers",
                  IntegerAttr::get(IntegerType::get(main.getContext(), 64), allocs - placed));
    if (classes.empty())
      return;
    hoistSizes();
    emit();
  }

private:
  int64_t positionOf(Operation *op) {
    return positions.lookup(main.front().findAncestorOpInBlock(*op));
  }

  /// Collects the computation of `size`, if it depends on input sizes only.
  bool collectSize(Value size, SetVector<Operation *> &slice) {
    Operation *op = size.getDefiningOp();
    if (!op)
      return false;
    if (slice.contains(op))
      return true;
    bool isInputSize = isa<memref::DimOp>(op) && isa<BlockArgument>(op->getOperand(0)) &&
                       op->getOperand(0).getParentBlock() == &main.front();
    bool isArithmetic = isPure(op) && op->getNumRegions() == 0 && !isa<memref::DimOp>(op);
    if (!isInputSize && !isArithmetic)
      return false;
    for (Value operand : op->getOperands())
      if (!(isInputSize && isa<BlockArgument>(operand)) && !collectSize(operand, slice))
        return false;
    slice.insert(op);
    return true;
  }

  /// The last position at which the buffer or a view of it is used, or nothing
  /// if it outlives an iteration of a loop around it.
  std::optional<int64_t> lastUse(memref::AllocOp alloc) {
    int64_t last = positionOf(alloc);
    for (Value alias : aliases.resolve(alloc.getResult())) {
      if (auto argument = dyn_cast<BlockArgument>(alias))
        if (argument.getOwner()->getParentOp()->isProperAncestor(alloc))
          return std::nullopt;
      if (alias.getDefiningOp() && isa<LoopLikeOpInterface>(alias.getDefiningOp()) &&
          alias.getDefiningOp()->isProperAncestor(alloc))
        return std::nullopt;
      for (Operation *user : alias.getUsers())
        last = std::max(last, positionOf(user));
    }
    return last;
  }

  void classify(memref::AllocOp alloc) {
    MemRefType type = alloc.getType();
    if (!type.getLayout().isIdentity())
      return;
    std::optional<int64_t> last = lastUse(alloc);
    if (!last)
      return;
    SetVector<Operation *> slice;
    for (Value size : alloc.getDynamicSizes())
      if (!collectSize(size, slice))
        return;
    sizeOps.insert_range(slice);
    SmallVector<Value> product(alloc.getDynamicSizes());
    llvm::sort(product, [&](Value a, Value b) { return orderOf(a) < orderOf(b); });
    auto *found = llvm::find_if(classes, [&](auto &c) { return c.product == product; });
    if (found == classes.end()) {
      classes.push_back({product, {}, {}});
      found = std::prev(classes.end());
    }
    int64_t bytes = elementBytes(type);
    for (int64_t size : type.getShape())
      if (!ShapedType::isDynamic(size))
        bytes *= size;
    found->allocs.push_back(alloc);
    found->buffers.push_back(
        {static_cast<int64_t>(llvm::alignTo(bytes, kAlignment)), positionOf(alloc), *last});
  }

  /// A number by which equal products are written equally.
  int64_t orderOf(Value size) {
    return order.insert({size, static_cast<int64_t>(order.size())}).first->second;
  }

  void hoistSizes() {
    Operation *last = nullptr;
    for (Operation *op : topologicalSort(sizeOps)) {
      if (last)
        op->moveAfter(last);
      else
        op->moveBefore(&main.front(), main.front().begin());
      last = op;
    }
  }

  void emit() {
    OpBuilder builder(main.getContext());
    Location loc = main.getLoc();
    if (sizeOps.empty())
      builder.setInsertionPointToStart(&main.front());
    else
      builder.setInsertionPointAfter(topologicalSort(sizeOps).back());
    auto multiply = [&](Value value, int64_t factor) {
      Value constant = arith::ConstantIndexOp::create(builder, loc, factor);
      return builder.createOrFold<arith::MulIOp>(loc, value, constant);
    };
    SmallVector<Value> bases, products;
    SmallVector<Attribute> report;
    Value total = arith::ConstantIndexOp::create(builder, loc, 0);
    for (SizeClass &group : classes) {
      int64_t bytes = planArena(group.buffers);
      Value product = arith::ConstantIndexOp::create(builder, loc, 1);
      for (Value size : group.product)
        product = builder.createOrFold<arith::MulIOp>(loc, product, size);
      SmallVector<Attribute> times;
      for (Value size : group.product)
        times.push_back(builder.getStringAttr(sizeText(main, size)));
      report.push_back(builder.getDictionaryAttr(
          {builder.getNamedAttr("bytes", builder.getI64IntegerAttr(bytes)),
           builder.getNamedAttr("times", builder.getArrayAttr(times))}));
      bases.push_back(total);
      products.push_back(product);
      total = builder.createOrFold<arith::AddIOp>(loc, total, multiply(product, bytes));
    }
    main->setAttr("rt.arena", builder.getArrayAttr(report));
    Value arena = rt::ArenaOp::create(
        builder, loc, MemRefType::get({ShapedType::kDynamic}, builder.getI8Type()), total);
    for (auto [group, base, product] : llvm::zip(classes, bases, products))
      for (auto [alloc, buffer] : llvm::zip(group.allocs, group.buffers)) {
        builder.setInsertionPoint(alloc);
        Value offset =
            builder.createOrFold<arith::AddIOp>(loc, base, multiply(product, buffer.offset));
        auto view = memref::ViewOp::create(builder, alloc.getLoc(), alloc.getType(), arena, offset,
                                           alloc.getDynamicSizes());
        alloc.replaceAllUsesWith(view.getResult());
        alloc.erase();
      }
  }

  func::FuncOp main;
  BufferViewFlowAnalysis aliases;
  DenseMap<Operation *, int64_t> positions;
  DenseMap<Value, int64_t> order;
  SmallVector<SizeClass> classes;
  SetVector<Operation *> sizeOps;
};

struct PlanMemoryPass : impl::PlanMemoryPassBase<PlanMemoryPass> {
  void runOnOperation() override {
    if (auto main = getOperation().lookupSymbol<func::FuncOp>("main"))
      MemoryPlanner(main).run();
  }
};

} // namespace
} // namespace moec
