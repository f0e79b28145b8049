#include "passes/raise/ops/Loops.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {
namespace {

RankedTensorType typeOf(const Tensor &tensor) {
  SmallVector<int64_t> sizes;
  for (OpFoldResult size : tensor.shape)
    sizes.push_back(getConstantIntValue(size).value_or(ShapedType::kDynamic));
  return RankedTensorType::get(sizes, signlessType(tensor.elementType));
}

/// A value whose unknown sizes are read from it.
Tensor asTensor(Emitter &e, Value value, Type elementType) {
  auto type = cast<RankedTensorType>(value.getType());
  Scalars shape;
  for (int64_t dim = 0; dim < type.getRank(); ++dim)
    shape.push_back(type.isDynamicDim(dim)
                        ? getAsOpFoldResult(e.createOrFold<tensor::DimOp>(value, e.index(dim)))
                        : e.size(type.getDimSize(dim)));
  return Tensor{value, elementType, shape, std::nullopt};
}

Value castTo(Emitter &e, Tensor tensor, RankedTensorType type) {
  Value value = e.value(tensor);
  return value.getType() == type ? value : tensor::CastOp::create(e, type, value).getResult();
}

/// What one iteration stacks: its type, and its sizes if they are known before
/// the loop.
struct Stack {
  Type elementType;
  RankedTensorType type;
  std::optional<Scalars> sizes;
};

class LoopEmitter {
public:
  LoopEmitter(Node &node, const LoopSpec &spec) : node(node), e(node.emitter), spec(spec) {}

  FailureOr<SmallVector<Tensor>> emit() {
    for (const Tensor &tensor : spec.initial)
      types.push_back(typeOf(tensor));
    if (failed(settleTypes()))
      return failure();
    SmallVector<Value> initial;
    for (auto [tensor, type] : llvm::zip_equal(spec.initial, types))
      initial.push_back(castTo(e, tensor, type));
    for (const Stack &stack : stacks)
      initial.push_back(emptyStack(stack));
    // scf.for takes the size of what it is given for the size of what it
    // carries, which is wrong of a stack that grows.
    bool grows = llvm::any_of(stacks, [](const Stack &stack) { return !stack.sizes; });
    FailureOr<SmallVector<Value>> results =
        spec.hasCondition || !spec.trips || grows ? emitWhile(initial) : emitFor(initial);
    if (failed(results))
      return failure();
    return finish(*results);
  }

private:
  /// Emits bodies into nowhere until the carried types stay what they are: a
  /// size that the body changes is not known.
  LogicalResult settleTypes() {
    for (bool changed = true; changed;) {
      changed = false;
      OpBuilder::InsertionGuard guard(e);
      SmallVector<Type> argumentTypes{e.getIndexType()};
      llvm::append_range(argumentTypes, types);
      auto scratch = scf::ExecuteRegionOp::create(e, TypeRange());
      Block *block = e.createBlock(&scratch.getRegion());
      block->addArguments(argumentTypes, SmallVector<Location>(argumentTypes.size(), e.getLoc()));
      FailureOr<LoopSpec::Iteration> iteration =
          runBody(block->getArgument(0), block->getArguments().drop_front());
      if (succeeded(iteration)) {
        changed = forgetChangedSizes(iteration->carried);
        describeStacks(iteration->stacked, scratch.getRegion());
      }
      scratch.erase();
      if (failed(iteration))
        return failure();
    }
    return success();
  }

  bool forgetChangedSizes(ArrayRef<Tensor> outputs) {
    bool changed = false;
    for (auto [type, output] : llvm::zip_equal(types, outputs)) {
      SmallVector<int64_t> sizes(type.getShape());
      for (auto [size, actual] : llvm::zip_equal(sizes, typeOf(output).getShape()))
        if (size != actual && !ShapedType::isDynamic(size)) {
          size = ShapedType::kDynamic;
          changed = true;
        }
      type = type.clone(sizes);
    }
    return changed;
  }

  void describeStacks(ArrayRef<Tensor> stacked, Region &inside) {
    stacks.clear();
    for (const Tensor &tensor : stacked) {
      Stack stack{tensor.elementType, typeOf(tensor), tensor.shape};
      bool isKnown = spec.trips && llvm::all_of(tensor.shape, [&](OpFoldResult size) {
                       auto value = dyn_cast<Value>(size);
                       return !value || !inside.isAncestor(value.getParentRegion());
                     });
      if (!isKnown)
        stack.sizes.reset();
      stacks.push_back(stack);
    }
  }

  FailureOr<LoopSpec::Iteration> runBody(Value index, ValueRange carried) {
    SmallVector<Tensor> tensors;
    for (auto [value, initial] : llvm::zip_equal(carried, spec.initial))
      tensors.push_back(asTensor(e, value, initial.elementType));
    FailureOr<LoopSpec::Iteration> iteration = spec.body(index, tensors);
    if (failed(iteration))
      return failure();
    if (iteration->carried.size() != spec.initial.size() ||
        iteration->stacked.size() != spec.reversed.size())
      return node.refuse("the body has the wrong number of outputs");
    for (auto [output, initial] : llvm::zip_equal(iteration->carried, spec.initial))
      if (output.elementType != initial.elementType || output.rank() != initial.rank())
        return node.refuse("the body changes the type or rank of a carried tensor");
    return iteration;
  }

  /// A stack of all iterations where sizes are known, else one that grows.
  Value emptyStack(const Stack &stack) {
    Scalars sizes{stack.sizes ? *spec.trips : e.size(0)};
    if (stack.sizes)
      llvm::append_range(sizes, *stack.sizes);
    else
      sizes.append(stack.type.getRank(), e.size(0));
    Value empty = e.empty(sizes, stack.type.getElementType());
    SmallVector<int64_t> shape{ShapedType::kDynamic};
    if (stack.sizes)
      return empty;
    shape.append(stack.type.getRank(), ShapedType::kDynamic);
    return tensor::CastOp::create(e, stack.type.clone(shape), empty);
  }

  Value push(size_t which, Value stack, Value index, Tensor element) {
    Value value = e.value(element);
    int64_t rank = element.rank();
    if (!stacks[which].sizes)
      stack = grown(stack, element);
    if (spec.reversed[which])
      index = e.index(e.sub(e.sub(*spec.trips, e.size(1)), index));
    Scalars offsets(rank + 1, e.size(0)), sizes{e.size(1)}, strides(rank + 1, e.size(1));
    offsets[0] = index;
    llvm::append_range(sizes, element.shape);
    return tensor::InsertSliceOp::create(e, value, stack, offsets, sizes, strides);
  }

  /// The stack with room for one more element; its sizes are the element's.
  Value grown(Value stack, const Tensor &element) {
    Scalars before = asTensor(e, stack, element.elementType).shape;
    Scalars after{e.add(before[0], e.size(1))};
    llvm::append_range(after, element.shape);
    Value empty = e.empty(after, signlessType(element.elementType));
    Scalars offsets(after.size(), e.size(0)), strides(after.size(), e.size(1));
    Value filled = tensor::InsertSliceOp::create(e, stack, empty, offsets, before, strides);
    auto type = cast<RankedTensorType>(stack.getType());
    return filled.getType() == type ? filled : tensor::CastOp::create(e, type, filled).getResult();
  }

  /// Emits one iteration; returns its condition and what the next one gets.
  FailureOr<std::pair<Value, SmallVector<Value>>> step(Value index, ValueRange arguments) {
    FailureOr<LoopSpec::Iteration> iteration = runBody(index, arguments.take_front(types.size()));
    if (failed(iteration))
      return failure();
    SmallVector<Value> next;
    for (auto [tensor, type] : llvm::zip_equal(iteration->carried, types))
      next.push_back(castTo(e, tensor, type));
    for (auto [which, tensor] : llvm::enumerate(iteration->stacked))
      next.push_back(push(which, arguments[types.size() + which], index, tensor));
    return std::pair(iteration->condition, next);
  }

  FailureOr<SmallVector<Value>> emitFor(ArrayRef<Value> initial) {
    Value trips = e.index(*spec.trips);
    count = *spec.trips;
    auto loop = scf::ForOp::create(e, e.index(int64_t(0)), trips, e.index(1), initial);
    OpBuilder::InsertionGuard guard(e);
    e.setInsertionPointToStart(loop.getBody());
    auto next = step(loop.getInductionVar(), loop.getRegionIterArgs());
    if (failed(next))
      return failure();
    // Without carried values the loop was made with its terminator.
    if (!initial.empty())
      scf::YieldOp::create(e, next->second);
    return SmallVector<Value>(loop.getResults());
  }

  FailureOr<SmallVector<Value>> emitWhile(ArrayRef<Value> initial) {
    SmallVector<Value> carried{spec.condition ? spec.condition : e.constant(e.getI1Type(), 1),
                               e.index(int64_t(0))};
    llvm::append_range(carried, initial);
    SmallVector<Type> carriedTypes(ValueRange(carried).getTypes());
    auto loop = scf::WhileOp::create(e, carriedTypes, carried);
    SmallVector<Location> locations(carried.size(), e.getLoc());
    {
      OpBuilder::InsertionGuard guard(e);
      Block *before = e.createBlock(&loop.getBefore(), {}, carriedTypes, locations);
      Value goesOn = before->getArgument(0);
      if (spec.trips)
        goesOn = arith::AndIOp::create(e, goesOn,
                                       arith::CmpIOp::create(e, arith::CmpIPredicate::slt,
                                                             before->getArgument(1),
                                                             e.index(*spec.trips)));
      scf::ConditionOp::create(e, goesOn, before->getArguments());
      Block *after = e.createBlock(&loop.getAfter(), {}, carriedTypes, locations);
      Value index = after->getArgument(1);
      auto next = step(index, after->getArguments().drop_front(2));
      if (failed(next))
        return failure();
      SmallVector<Value> yielded{next->first ? next->first : after->getArgument(0),
                                 arith::AddIOp::create(e, index, e.index(1))};
      llvm::append_range(yielded, next->second);
      scf::YieldOp::create(e, yielded);
    }
    count = loop.getResult(1);
    return SmallVector<Value>(loop.getResults().drop_front(2));
  }

  SmallVector<Tensor> finish(ArrayRef<Value> results) {
    SmallVector<Tensor> tensors;
    for (auto [value, initial] : llvm::zip(results.take_front(types.size()), spec.initial))
      tensors.push_back(asTensor(e, value, initial.elementType));
    for (auto [value, stack] : llvm::zip_equal(results.drop_front(types.size()), stacks)) {
      Tensor all = asTensor(e, value, stack.elementType);
      // A condition may have ended the loop before the stack was full.
      if (stack.sizes && count != *spec.trips) {
        Scalars offsets(all.rank(), e.size(0)), strides(all.rank(), e.size(1)), sizes{count};
        llvm::append_range(sizes, *stack.sizes);
        Value part = tensor::ExtractSliceOp::create(e, all.data, offsets, sizes, strides);
        all = e.tensor(part, stack.elementType, sizes);
      }
      tensors.push_back(all);
    }
    return tensors;
  }

  Node &node;
  Emitter &e;
  const LoopSpec &spec;
  SmallVector<RankedTensorType> types;
  SmallVector<Stack> stacks;
  OpFoldResult count;
};

} // namespace

FailureOr<SmallVector<Tensor>> emitLoop(Node &node, const LoopSpec &spec) {
  return LoopEmitter(node, spec).emit();
}

} // namespace moec::raise
