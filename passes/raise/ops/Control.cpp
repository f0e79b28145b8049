//===- Control.cpp - operators with subgraphs ------------------------------===//
#include "passes/raise/Operators.h"
#include "passes/raise/ops/Loops.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

using namespace mlir;

namespace moec::raise {
namespace {

/// The single boolean of a condition.
FailureOr<Value> condition(Node &node, Tensor tensor) {
  Emitter &e = node.emitter;
  FailureOr<Scalars> elements = e.elementsOf(tensor);
  if (failed(elements) || elements->size() != 1 || !tensor.isBool())
    return node.refuse("the condition must be one boolean");
  if (std::optional<int64_t> known = getConstantIntValue(elements->front()))
    return e.constant(e.getI1Type(), *known ? 1 : 0);
  return cast<Value>(elements->front());
}

Type commonType(const Tensor &a, const Tensor &b) {
  SmallVector<int64_t> sizes;
  for (auto [x, y] : llvm::zip_equal(a.shape, b.shape)) {
    std::optional<int64_t> known = getConstantIntValue(x);
    sizes.push_back(known && known == getConstantIntValue(y) ? *known : ShapedType::kDynamic);
  }
  return RankedTensorType::get(sizes, signlessType(a.elementType));
}

/// Emits a subgraph as the only content of `region`.
FailureOr<SmallVector<Tensor>> branch(Node &node, Region &body, Region &region) {
  OpBuilder::InsertionGuard guard(node.emitter);
  node.emitter.createBlock(&region);
  return node.raiseBody(body, {});
}

void yield(Emitter &e, Region &region, ArrayRef<Tensor> tensors, TypeRange types) {
  OpBuilder::InsertionGuard guard(e);
  e.setInsertionPointToEnd(&region.front());
  SmallVector<Value> values;
  for (auto [tensor, type] : llvm::zip_equal(tensors, types)) {
    Value value = e.value(Tensor(tensor));
    values.push_back(value.getType() == type ? value
                                             : tensor::CastOp::create(e, type, value).getResult());
  }
  scf::YieldOp::create(e, values);
}

LogicalResult lowerIf(Node &node) {
  Emitter &e = node.emitter;
  MutableArrayRef<Region> bodies = node.operation().getBodies();
  if (bodies.size() != 2)
    return node.refuse("it needs a then_branch and an else_branch");
  FailureOr<Value> chosen = condition(node, node.in(0));
  if (failed(chosen))
    return failure();
  if (std::optional<int64_t> known = getConstantIntValue(*chosen)) {
    FailureOr<SmallVector<Tensor>> outputs = node.raiseBody(bodies[*known ? 0 : 1], {});
    if (failed(outputs))
      return failure();
    for (auto [index, output] : llvm::enumerate(*outputs))
      (void)node.set(index, output);
    return success();
  }

  // The types of the results are known after the branches are.
  auto draft = scf::ExecuteRegionOp::create(e, TypeRange());
  auto otherDraft = scf::ExecuteRegionOp::create(e, TypeRange());
  FailureOr<SmallVector<Tensor>> yes = branch(node, bodies[0], draft.getRegion());
  FailureOr<SmallVector<Tensor>> no = branch(node, bodies[1], otherDraft.getRegion());
  if (failed(yes) || failed(no))
    return failure();
  if (yes->size() != no->size())
    return node.refuse("its branches have different numbers of outputs");
  SmallVector<Type> types;
  for (auto [a, b] : llvm::zip_equal(*yes, *no)) {
    if (a.elementType != b.elementType || a.rank() != b.rank())
      return node.refuse("its branches have outputs of different types or ranks");
    types.push_back(commonType(a, b));
  }
  yield(e, draft.getRegion(), *yes, types);
  yield(e, otherDraft.getRegion(), *no, types);
  auto op = scf::IfOp::create(e, types, *chosen, /*addThenBlock=*/false, /*addElseBlock=*/false);
  op.getThenRegion().takeBody(draft.getRegion());
  op.getElseRegion().takeBody(otherDraft.getRegion());
  draft.erase();
  otherDraft.erase();
  for (auto [index, value] : llvm::enumerate(op.getResults())) {
    Scalars shape;
    auto type = cast<RankedTensorType>(value.getType());
    for (int64_t dim = 0; dim < type.getRank(); ++dim)
      shape.push_back(type.isDynamicDim(dim)
                          ? getAsOpFoldResult(e.createOrFold<tensor::DimOp>(value, e.index(dim)))
                          : e.size(type.getDimSize(dim)));
    (void)node.set(index, Tensor{value, (*yes)[index].elementType, shape, std::nullopt});
  }
  return success();
}

LogicalResult setAll(Node &node, const FailureOr<SmallVector<Tensor>> &results) {
  if (failed(results))
    return failure();
  for (auto [index, tensor] : llvm::enumerate(*results))
    (void)node.set(index, tensor);
  return success();
}

/// Whether the body hands its condition on, so that it never ends the loop.
bool keepsCondition(Block &body) {
  Value yielded = body.getTerminator()->getOperand(0);
  while (auto op = yielded.getDefiningOp<onnx::NodeOp>()) {
    if (op.getOpType() != "Identity")
      return false;
    yielded = op.getInputs()[0];
  }
  if (auto constant = yielded.getDefiningOp<onnx::ConstantOp>()) {
    auto value = dyn_cast<DenseElementsAttr>(constant.getValue());
    return value && value.isSplat() && value.getElementType().isInteger(1) &&
           value.getSplatValue<bool>();
  }
  return yielded == body.getArgument(1);
}

LogicalResult lowerLoop(Node &node) {
  Emitter &e = node.emitter;
  MutableArrayRef<Region> bodies = node.operation().getBodies();
  if (bodies.size() != 1 || bodies[0].front().getNumArguments() < 2 ||
      bodies[0].front().getTerminator()->getNumOperands() == 0)
    return node.refuse("it needs a body with an iteration number and a condition");
  Block &body = bodies[0].front();
  LoopSpec spec;
  if (node.has(0)) {
    FailureOr<Scalars> trips = e.elementsOf(node.in(0));
    if (failed(trips) || trips->size() != 1)
      return node.refuse("the trip count must be one integer");
    spec.trips = e.max(trips->front(), e.size(0));
  }
  if (node.has(1)) {
    FailureOr<Value> first = condition(node, node.in(1));
    if (failed(first))
      return failure();
    spec.condition = *first;
  }
  // Where only the first condition counts, it decides the trip count.
  spec.hasCondition = !keepsCondition(body);
  if (!spec.hasCondition && spec.condition && spec.trips) {
    Value trips =
        e.createOrFold<arith::SelectOp>(spec.condition, e.index(*spec.trips), e.index(int64_t(0)));
    spec.trips = getAsOpFoldResult(trips);
  }
  for (unsigned i = 2; i < node.numInputs(); ++i)
    spec.initial.push_back(node.in(i));
  size_t carried = spec.initial.size(), outputs = body.getTerminator()->getNumOperands() - 1;
  if (outputs < carried || body.getNumArguments() != carried + 2)
    return node.refuse("the body does not fit the tensors that are carried");
  spec.reversed.assign(outputs - carried, false);
  spec.body = [&](Value index, ArrayRef<Tensor> tensors) -> FailureOr<LoopSpec::Iteration> {
    SmallVector<Tensor> arguments{
        e.fromElements({index}, e.getIntegerType(64, true), /*isScalar=*/true),
        e.fromElements({e.getBoolAttr(true)}, e.getI1Type(), /*isScalar=*/true)};
    llvm::append_range(arguments, tensors);
    FailureOr<SmallVector<Tensor>> results = node.raiseBody(bodies[0], arguments);
    if (failed(results))
      return failure();
    LoopSpec::Iteration iteration;
    if (spec.hasCondition) {
      FailureOr<Value> goesOn = condition(node, results->front());
      if (failed(goesOn))
        return failure();
      iteration.condition = *goesOn;
    }
    ArrayRef<Tensor> rest = ArrayRef(*results).drop_front();
    iteration.carried.assign(rest.begin(), rest.begin() + carried);
    iteration.stacked.assign(rest.begin() + carried, rest.end());
    return iteration;
  };
  return setAll(node, emitLoop(node, spec));
}

/// One index of a dimension, without the dimension.
Tensor pick(Emitter &e, Tensor x, int64_t axis, Value at) {
  Scalars offsets(x.rank(), e.size(0)), strides(x.rank(), e.size(1)), sizes(x.shape), rest;
  offsets[axis] = at;
  sizes[axis] = e.size(1);
  for (int64_t dim = 0; dim < x.rank(); ++dim)
    if (dim != axis)
      rest.push_back(x.shape[dim]);
  SmallVector<int64_t> shape;
  for (OpFoldResult size : rest)
    shape.push_back(getConstantIntValue(size).value_or(ShapedType::kDynamic));
  auto type = RankedTensorType::get(shape, signlessType(x.elementType));
  Value slice = tensor::ExtractSliceOp::create(e, type, e.value(x), offsets, sizes, strides);
  return Tensor{slice, x.elementType, rest, std::nullopt};
}

LogicalResult lowerScan(Node &node) {
  Emitter &e = node.emitter;
  MutableArrayRef<Region> bodies = node.operation().getBodies();
  int64_t scanned = node.intAttr("num_scan_inputs", 0);
  if (node.version() < 9)
    return node.refuse("version ") << node.version() << " has a batch dimension";
  if (bodies.size() != 1 || scanned < 1 || scanned > node.numInputs())
    return node.refuse("it needs a body and scan inputs");
  int64_t states = node.numInputs() - scanned;
  int64_t outputs = bodies[0].front().getTerminator()->getNumOperands() - states;
  if (outputs < 0 || bodies[0].front().getNumArguments() != node.numInputs())
    return node.refuse("the body does not fit the inputs");
  auto list = [&](StringRef name, int64_t size) {
    SmallVector<int64_t> given = node.intsAttr(name).value_or(SmallVector<int64_t>());
    given.resize(size, 0);
    return given;
  };
  SmallVector<int64_t> directions = list("scan_input_directions", scanned);
  FailureOr<SmallVector<int64_t>> axes = SmallVector<int64_t>();
  for (auto [i, axis] : llvm::enumerate(list("scan_input_axes", scanned))) {
    FailureOr<int64_t> counted = node.axis(axis, node.in(states + i).rank());
    if (failed(counted))
      return failure();
    axes->push_back(*counted);
  }
  LoopSpec spec;
  spec.trips = node.in(states).shape[axes->front()];
  for (int64_t i = 0; i < states; ++i)
    spec.initial.push_back(node.in(i));
  for (int64_t direction : list("scan_output_directions", outputs))
    spec.reversed.push_back(direction != 0);
  spec.body = [&](Value index, ArrayRef<Tensor> tensors) -> FailureOr<LoopSpec::Iteration> {
    SmallVector<Tensor> arguments(tensors);
    for (int64_t i = 0; i < scanned; ++i) {
      Value at = index;
      if (directions[i])
        at = e.index(e.sub(e.sub(*spec.trips, e.size(1)), index));
      arguments.push_back(pick(e, node.in(states + i), (*axes)[i], at));
    }
    FailureOr<SmallVector<Tensor>> results = node.raiseBody(bodies[0], arguments);
    if (failed(results))
      return failure();
    ArrayRef<Tensor> all(*results);
    return LoopSpec::Iteration{Value(), SmallVector<Tensor>(all.take_front(states)),
                               SmallVector<Tensor>(all.drop_front(states))};
  };
  FailureOr<SmallVector<Tensor>> results = emitLoop(node, spec);
  if (failed(results))
    return failure();
  for (auto [i, axis] : llvm::enumerate(list("scan_output_axes", outputs))) {
    Tensor &stack = (*results)[states + i];
    FailureOr<int64_t> counted = node.axis(axis, stack.rank());
    if (failed(counted))
      return failure();
    SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(1, stack.rank()));
    order.insert(order.begin() + *counted, 0);
    if (*counted)
      stack = e.transpose(stack, order);
  }
  return setAll(node, results);
}

const OperatorInfo kTable[] = {
    {"", "If", 1, 1, lowerIf, 11},
    {"", "Loop", 0, kVariadic, lowerLoop, 11},
    {"", "Scan", 1, kVariadic, lowerScan, 9},
};

} // namespace

ArrayRef<OperatorInfo> controlOperators() { return kTable; }

} // namespace moec::raise
