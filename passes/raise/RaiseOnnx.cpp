//===- RaiseOnnx.cpp - from ONNX nodes to tensors, moe and attn ------------===//
//
// One walk over the graph, in order: every node's row in the operator table
// lowers it with what is known of its inputs by then.
//
//===----------------------------------------------------------------------===//
#include "passes/Passes.h"

#include "dialects/attn/AttnDialect.h"
#include "dialects/moe/MoeDialect.h"
#include "dialects/rt/RtDialect.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/raise/Operators.h"
#include "llvm/ADT/MapVector.h"

namespace moec {
#define GEN_PASS_DEF_RAISEONNXPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;

namespace moec::raise {
namespace {

/// Elements of a constant that shape arithmetic may need one by one.
std::optional<Scalars> smallIntegers(DenseElementsAttr value) {
  constexpr int64_t kMaxElements = 64;
  auto type = cast<ShapedType>(value.getType());
  if (!isa<IntegerType>(type.getElementType()) || type.getRank() > 1 ||
      type.getNumElements() > kMaxElements)
    return std::nullopt;
  Builder builder(value.getContext());
  bool isBool = type.getElementType().isInteger(1);
  bool isUnsigned = type.getElementType().isUnsignedInteger();
  Scalars elements;
  for (const APInt &element : value.getValues<APInt>())
    elements.push_back(isBool ? OpFoldResult(builder.getBoolAttr(element.getBoolValue()))
                              : builder.getIndexAttr(isUnsigned ? element.getZExtValue()
                                                                : element.getSExtValue()));
  return elements;
}

class GraphRaiser {
public:
  explicit GraphRaiser(func::FuncOp main) : main(main), emitter(main.getLoc(), main.getContext()) {}

  LogicalResult run() {
    if (failed(checkKnown()))
      return failure();
    signlessWeights();
    emitter.setInsertionPoint(main.front().getTerminator());
    for (BlockArgument argument : main.getArguments())
      if (failed(addInput(argument)))
        return failure();
    if (failed(raise(main.front())) || failed(finish()))
      return failure();
    return success();
  }

private:
  /// Reports every operator that is not in the table, or not in the version that
  /// the model imports, once each.
  LogicalResult checkKnown() {
    struct Unknown {
      onnx::NodeOp first;
      int64_t count = 0;
    };
    llvm::MapVector<std::pair<StringRef, StringRef>, Unknown> unknown;
    main.walk([&](onnx::NodeOp node) {
      const OperatorInfo *info = findOperator(node.getDomain(), node.getOpType());
      if (info && info->knows(node.getVersion()))
        return;
      Unknown &entry = unknown[{node.getDomain(), node.getOpType()}];
      if (entry.count++ == 0)
        entry.first = node;
    });
    for (auto &[name, entry] : unknown) {
      const OperatorInfo *info = findOperator(name.first, name.second);
      InFlightDiagnostic diagnostic =
          entry.first->emitError(info ? "operator " : "unknown operator ");
      diagnostic << (name.first.empty() ? "ai.onnx" : name.first) << "::" << name.second
                 << " version " << entry.first.getVersion();
      if (info)
        diagnostic << " is outside the versions " << info->oldest() << " to " << info->newest()
                   << " that moec knows";
      diagnostic << ", used " << entry.count << " times";
      if (StringRef node = onnxName(entry.first.getLoc()); !node.empty())
        diagnostic << ", first by node '" << node << "'";
    }
    return success(unknown.empty());
  }

  /// Weights lose the sign of their element type; tensors remember it.
  void signlessWeights() {
    for (auto weight : main->getParentOfType<ModuleOp>().getOps<rt::WeightOp>()) {
      auto type = cast<RankedTensorType>(weight.getType());
      weight.setType(type.clone(signlessType(type.getElementType())));
    }
  }

  LogicalResult addInput(BlockArgument argument) {
    unsigned number = argument.getArgNumber();
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (!type)
      return main.emitError("input ")
             << main.getArgAttr(number, "onnx.name") << " has no known rank";
    Type elementType = type.getElementType();
    argument.setType(type.clone(signlessType(elementType)));
    main.setArgAttr(number, "onnx.type", emitter.getI64IntegerAttr(onnx::dataTypeOf(elementType)));
    main.setArgAttr(number, "bufferization.writable", emitter.getBoolAttr(false));
    auto dims = main.getArgAttrOfType<ArrayAttr>(number, "onnx.dims");
    Scalars shape;
    for (int64_t dim = 0; dim < type.getRank(); ++dim) {
      if (!type.isDynamicDim(dim)) {
        shape.push_back(emitter.size(type.getDimSize(dim)));
        continue;
      }
      auto name =
          dims && dim < int64_t(dims.size()) ? dyn_cast<StringAttr>(dims[dim]) : StringAttr();
      OpFoldResult known = name ? symbols.lookup(name) : OpFoldResult();
      if (!known)
        known = getAsOpFoldResult(emitter.createOrFold<tensor::DimOp>(argument, dim));
      if (name)
        symbols[name] = known;
      shape.push_back(known);
    }
    tensors[argument] = Tensor{argument, elementType, shape, std::nullopt};
    return success();
  }

  LogicalResult raise(Block &block) {
    SmallVector<Operation *> ops;
    for (Operation &op : block.without_terminator())
      if (isa<onnx::OnnxDialect>(op.getDialect()) || isa<rt::LoadWeightOp>(op))
        ops.push_back(&op);
    for (Operation *op : ops) {
      emitter.setLoc(op->getLoc());
      if (auto constant = dyn_cast<onnx::ConstantOp>(op))
        addConstant(constant);
      else if (auto weight = dyn_cast<rt::LoadWeightOp>(op))
        addWeight(weight);
      else if (auto node = dyn_cast<onnx::NodeOp>(op))
        if (failed(raise(node)))
          return failure();
    }
    return success();
  }

  void addConstant(onnx::ConstantOp op) {
    auto value = cast<DenseElementsAttr>(op.getValue());
    Type elementType = value.getElementType();
    Scalars shape;
    for (int64_t dim : cast<ShapedType>(value.getType()).getShape())
      shape.push_back(emitter.size(dim));
    Value data = arith::ConstantOp::create(emitter, value.bitcast(signlessType(elementType)));
    tensors[op.getResult()] = Tensor{data, elementType, shape, smallIntegers(value)};
  }

  void addWeight(rt::LoadWeightOp op) {
    auto type = cast<RankedTensorType>(op.getType());
    Scalars shape;
    for (int64_t dim : type.getShape())
      shape.push_back(emitter.size(dim));
    Value data = rt::LoadWeightOp::create(emitter, type.clone(signlessType(type.getElementType())),
                                          op.getWeightAttr());
    tensors[op.getResult()] = Tensor{data, type.getElementType(), shape, std::nullopt};
  }

  LogicalResult raise(onnx::NodeOp op) {
    const OperatorInfo *info = findOperator(op.getDomain(), op.getOpType());
    SmallVector<std::optional<Tensor>> inputs;
    for (Value input : op.getInputs()) {
      auto found = tensors.find(input);
      inputs.push_back(found == tensors.end() ? std::nullopt
                                              : std::optional<Tensor>(found->second));
    }
    Node node(op, emitter, std::move(inputs),
              [&](Region &body, ArrayRef<Tensor> arguments) { return raiseBody(body, arguments); });
    if (node.numInputs() > info->maxInputs)
      return node.refuse("it takes at most ")
             << info->maxInputs << " inputs, but has " << node.numInputs();
    for (unsigned i = 0; i < info->minInputs; ++i)
      if (!node.has(i))
        return node.refuse("input ") << i << " is missing";
    if (failed(info->lower(node)) || failed(node.checkAttributes()))
      return failure();
    for (auto [result, tensor] : llvm::zip(op.getOutputs(), node.results()))
      if (tensor)
        tensors[result] = *tensor;
      else if (!result.use_empty())
        return node.refuse("output ")
               << cast<OpResult>(result).getResultNumber() << " is used, but not computed";
    return success();
  }

  FailureOr<SmallVector<Tensor>> raiseBody(Region &body, ArrayRef<Tensor> arguments) {
    Block &block = body.front();
    Location outer = emitter.getLoc();
    for (auto [argument, tensor] : llvm::zip(block.getArguments(), arguments))
      tensors[argument] = tensor;
    if (failed(raise(block)))
      return failure();
    emitter.setLoc(outer);
    SmallVector<Tensor> outputs;
    for (Value output : block.getTerminator()->getOperands())
      outputs.push_back(tensors[output]);
    return outputs;
  }

  /// Returns the raised results and removes the graph.
  LogicalResult finish() {
    auto terminator = cast<func::ReturnOp>(main.front().getTerminator());
    emitter.setLoc(terminator.getLoc());
    SmallVector<Value> results;
    for (auto [index, operand] : llvm::enumerate(terminator.getOperands())) {
      Tensor &tensor = tensors[operand];
      main.setResultAttr(index, "onnx.type",
                         emitter.getI64IntegerAttr(onnx::dataTypeOf(tensor.elementType)));
      results.push_back(emitter.value(tensor));
    }
    terminator->setOperands(results);
    main.setType(emitter.getFunctionType(main.front().getArgumentTypes(), ValueRange(results)));
    SmallVector<Operation *> graph;
    for (Operation &op : main.front())
      if (isa<onnx::OnnxDialect>(op.getDialect()))
        graph.push_back(&op);
    for (Operation *op : llvm::reverse(graph))
      op->erase();
    for (auto load : llvm::make_early_inc_range(main.getOps<rt::LoadWeightOp>()))
      if (load.use_empty())
        load.erase();
    return success();
  }

  func::FuncOp main;
  Emitter emitter;
  DenseMap<Value, Tensor> tensors;
  DenseMap<StringAttr, OpFoldResult> symbols;
};

/// Whether `main` is a graph; modules of later stages have been raised.
bool isGraph(func::FuncOp main) {
  return llvm::all_of(main.front().without_terminator(), [](Operation &op) {
    return isa<onnx::OnnxDialect>(op.getDialect()) || isa<rt::LoadWeightOp>(op);
  });
}

struct RaiseOnnxPass : moec::impl::RaiseOnnxPassBase<RaiseOnnxPass> {
  void runOnOperation() override {
    if (auto main = getOperation().lookupSymbol<func::FuncOp>("main"); main && isGraph(main))
      if (failed(GraphRaiser(main).run()))
        signalPassFailure();
  }
};

} // namespace
} // namespace moec::raise
