#include "passes/lower/OutlineHostCode.h"

#include "dialects/rt/RtDialect.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;

namespace moec {
namespace {

bool isAccess(Operation *op) { return isa<memref::LoadOp, memref::StoreOp>(op); }

/// Whether a kernel could execute `op` with everything inside.
bool isScalarCode(Operation *op) {
  return !op->walk([&](Operation *inner) {
              bool structured = isa<scf::ForOp, scf::WhileOp, scf::IfOp, scf::IndexSwitchOp,
                                    scf::YieldOp, scf::ConditionOp, cf::AssertOp>(inner);
              bool isArithmetic = isMemoryEffectFree(inner) && inner->getNumRegions() == 0;
              return structured || isAccess(inner) || isArithmetic ? WalkResult::advance()
                                                                   : WalkResult::interrupt();
            }).wasInterrupted();
}

template <typename Access> bool contains(Operation *op) {
  return op->walk([](Access) { return WalkResult::interrupt(); }).wasInterrupted();
}

/// Arithmetic, loads and loops of one block between two launches. What stores
/// or checks becomes a kernel, with what that needs of the rest.
class ScalarRun {
public:
  ScalarRun(func::FuncOp main, KernelSet &kernels) : main(main), kernels(kernels) {}

  bool stores() const { return !sinks.empty(); }
  /// An operation that a kernel may execute as well as the host.
  void add(Operation *op) { ops.push_back(op); }
  /// One that only a kernel may execute.
  void addSink(Operation *op) {
    ops.push_back(op);
    sinks.push_back(op);
  }

  /// Launches the kernel behind the last operation of the run, and forgets the
  /// run.
  void end() {
    if (stores())
      outline();
    ops.clear();
    sinks.clear();
  }

private:
  /// The sinks and what they depend on that accesses elements, in order.
  SmallVector<Operation *> kernelOps() {
    DenseSet<Operation *> onDevice;
    for (Operation *op : ops) {
      bool depends = contains<memref::LoadOp>(op) || llvm::any_of(op->getOperands(), [&](Value v) {
                       return onDevice.contains(v.getDefiningOp());
                     });
      if (depends)
        onDevice.insert(op);
    }
    DenseSet<Operation *> needed(llvm::from_range, sinks);
    SmallVector<Operation *> result;
    for (Operation *op : llvm::reverse(ops)) {
      if (!needed.contains(op))
        continue;
      result.push_back(op);
      SetVector<Value> used(llvm::from_range, op->getOperands());
      getUsedValuesDefinedAbove(op->getRegions(), used);
      for (Value value : used)
        if (Operation *def = value.getDefiningOp(); def && onDevice.contains(def))
          needed.insert(def);
    }
    std::reverse(result.begin(), result.end());
    return result;
  }

  void outline() {
    SmallVector<Operation *> moved = kernelOps();
    collectOperands(moved);
    SmallVector<Value> operands(inputs.getArrayRef());
    llvm::append_range(operands, outputs);
    OpBuilder builder(main.getContext());
    builder.setInsertionPointAfter(ops.back());
    Location loc = sinks.back()->getLoc();
    func::FuncOp kernel = kernels.add(buildKernel(builder, operands, moved), "host");
    Value one = arith::ConstantIndexOp::create(builder, loc, 1);
    rt::LaunchOp::create(builder, loc, TypeRange{}, SymbolRefAttr::get(kernel), one,
                         inputs.getArrayRef(), outputs.getArrayRef());
    for (Operation *sink : llvm::reverse(sinks))
      sink->erase();
    // What only the kernel needs has no use left; loads would be reads.
    for (Operation *op : llvm::reverse(moved))
      if (!llvm::is_contained(sinks, op) && op->use_empty())
        op->erase();
  }

  void collectOperands(ArrayRef<Operation *> moved) {
    inputs.clear(), outputs.clear(), constants.clear();
    SetVector<Value> used;
    for (Operation *op : moved) {
      used.insert_range(op->getOperands());
      getUsedValuesDefinedAbove(op->getRegions(), used);
      op->walk([&](memref::StoreOp store) { outputs.insert(store.getMemref()); });
    }
    for (Value value : used) {
      Operation *def = value.getDefiningOp();
      if (def && llvm::is_contained(moved, def))
        continue;
      if (def && def->hasTrait<OpTrait::ConstantLike>())
        constants.insert(def);
      else if (!outputs.contains(value))
        inputs.insert(value);
    }
  }

  func::FuncOp buildKernel(OpBuilder &builder, ValueRange operands, ArrayRef<Operation *> moved) {
    func::FuncOp kernel = createKernel(builder, operands.getTypes());
    Location loc = kernel.getLoc();
    Block &entry = kernel.front();
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointToStart(&entry);
    IRMapping mapping;
    mapping.map(operands, entry.getArguments().drop_back(2));
    for (Operation *constant : constants)
      builder.clone(*constant, mapping);
    Value step = arith::ConstantIndexOp::create(builder, loc, 1);
    ValueRange range = entry.getArguments().take_back(2);
    auto grid = scf::ForOp::create(builder, loc, range[0], range[1], step);
    func::ReturnOp::create(builder, loc);
    builder.setInsertionPointToStart(grid.getBody());
    for (Operation *op : moved)
      builder.clone(*op, mapping);
    return kernel;
  }

  func::FuncOp main;
  KernelSet &kernels;
  SmallVector<Operation *> ops, sinks;
  SetVector<Value> inputs, outputs;
  SetVector<Operation *> constants;
};

class HostOutliner {
public:
  HostOutliner(func::FuncOp main, KernelSet &kernels) : main(main), kernels(kernels) {}

  LogicalResult run() {
    if (failed(outlineBlock(main.front())))
      return failure();
    SmallVector<memref::LoadOp> loads;
    main.walk([&](memref::LoadOp load) { loads.push_back(load); });
    for (memref::LoadOp load : loads)
      readElement(load);
    return success();
  }

private:
  LogicalResult outlineBlock(Block &block) {
    ScalarRun run(main, kernels);
    for (Operation &op : llvm::make_early_inc_range(block))
      if (failed(visit(&op, run)))
        return failure();
    return success();
  }

  LogicalResult visit(Operation *op, ScalarRun &run) {
    bool isPureArithmetic = op->getNumRegions() == 0 && isMemoryEffectFree(op);
    if (auto check = dyn_cast<cf::AssertOp>(op)) {
      if (isDeviceValue(check.getArg()))
        run.addSink(op);
    } else if (isPureArithmetic && !op->hasTrait<OpTrait::IsTerminator>()) {
      run.add(op);
    } else if (isa<memref::LoadOp>(op)) {
      // What the host reads has been stored by then.
      if (!isNeededByHost(op->getResult(0)))
        run.add(op);
      else if (run.stores())
        run.end();
    } else if (isa<memref::StoreOp>(op)) {
      run.addSink(op);
    } else if (isScalarCode(op) &&
               (contains<memref::LoadOp>(op) || contains<memref::StoreOp>(op))) {
      return visitLoop(op, run);
    } else if (!isa<memref::AllocOp, rt::OutputOp, rt::ArenaOp>(op)) {
      run.end();
      for (Region &region : op->getRegions())
        for (Block &block : region)
          if (failed(outlineBlock(block)))
            return failure();
    }
    return success();
  }

  LogicalResult visitLoop(Operation *op, ScalarRun &run) {
    bool stores = contains<memref::StoreOp>(op);
    if (llvm::any_of(op->getResults(), [&](Value v) { return isNeededByHost(v); })) {
      if (stores)
        return op->emitError("stores elements on the device and yields what the host needs");
      // The host executes it, and reads.
      run.end();
    } else if (stores || contains<cf::AssertOp>(op)) {
      run.addSink(op);
    } else {
      run.add(op);
    }
    return success();
  }

  /// Whether `value` depends on an element that no host code needs.
  bool isDeviceValue(Value value) {
    Operation *def = value.getDefiningOp();
    if (!def || isa<memref::DimOp>(def))
      return false;
    if (contains<memref::LoadOp>(def))
      return !llvm::any_of(def->getResults(), [&](Value v) { return isNeededByHost(v); });
    return isMemoryEffectFree(def) &&
           llvm::any_of(def->getOperands(), [&](Value v) { return isDeviceValue(v); });
  }

  /// Whether anything but stores, checks and code that a kernel executes uses
  /// `value` or what is computed from it.
  bool isNeededByHost(Value value) {
    auto [known, isNew] = needed.insert({value, false});
    if (!isNew)
      return known->second;
    bool result = llvm::any_of(value.getUsers(), [&](Operation *user) {
      Operation *inBlock = value.getParentBlock()->findAncestorOpInBlock(*user);
      if (isa<memref::StoreOp, cf::AssertOp>(inBlock))
        return false;
      bool isArithmetic = inBlock->getNumRegions() == 0 && isMemoryEffectFree(inBlock) &&
                          !inBlock->hasTrait<OpTrait::IsTerminator>();
      bool isLoop = inBlock->getNumRegions() && isScalarCode(inBlock) &&
                    (contains<memref::LoadOp>(inBlock) || contains<memref::StoreOp>(inBlock));
      if (!isArithmetic && !isLoop && !isa<memref::LoadOp>(inBlock))
        return true;
      return llvm::any_of(inBlock->getResults(), [&](Value v) { return isNeededByHost(v); });
    });
    return needed[value] = result;
  }

  /// Replaces a load by the read of a view of its element.
  void readElement(memref::LoadOp load) {
    OpBuilder builder(load);
    Location loc = load.getLoc();
    Value element = load.getMemref();
    if (int64_t rank = load.getMemRefType().getRank()) {
      SmallVector<OpFoldResult> offsets(load.getIndices().begin(), load.getIndices().end());
      SmallVector<OpFoldResult> ones(rank, builder.getIndexAttr(1));
      auto type = cast<MemRefType>(memref::SubViewOp::inferRankReducedResultType(
          {}, load.getMemRefType(), offsets, ones, ones));
      element = memref::SubViewOp::create(builder, loc, type, element, offsets, ones, ones);
    }
    auto read = rt::ReadOp::create(builder, loc, load.getType(), element);
    load.replaceAllUsesWith(read.getResult());
    load.erase();
  }

  func::FuncOp main;
  KernelSet &kernels;
  DenseMap<Value, bool> needed;
};

} // namespace

LogicalResult outlineHostCode(func::FuncOp main, KernelSet &kernels) {
  return HostOutliner(main, kernels).run();
}

} // namespace moec
