#include "lib/import/GraphImporter.h"

#include "dialects/onnx/OnnxDialect.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

using namespace mlir;

namespace moec {
namespace {

ArrayAttr importDims(Builder &b, const std::vector<proto::Dim> &dims) {
  SmallVector<Attribute> result;
  for (const proto::Dim &dim : dims) {
    if (dim.value)
      result.push_back(b.getI64IntegerAttr(*dim.value));
    else if (!dim.parameter.empty())
      result.push_back(b.getStringAttr(dim.parameter));
    else
      result.push_back(b.getUnitAttr());
  }
  return b.getArrayAttr(result);
}

DictionaryAttr describe(Builder &b, const proto::Value &value) {
  NamedAttrList attributes;
  attributes.set(kOnnxNameAttr, b.getStringAttr(value.name));
  if (value.type.shape)
    attributes.set(kOnnxDimsAttr, importDims(b, *value.type.shape));
  if (value.type.elementType)
    attributes.set(kOnnxTypeAttr, b.getI64IntegerAttr(value.type.elementType));
  return attributes.getDictionary(b.getContext());
}

} // namespace

Value ValueScope::lookup(StringRef name) const {
  for (const ValueScope *scope = this; scope; scope = scope->parent)
    if (Value value = scope->values.lookup(name))
      return value;
  return {};
}

bool ValueScope::define(StringRef name, Value value) {
  return values.try_emplace(name, value).second;
}

Location GraphImporter::named(const Frame &frame, StringRef name) {
  return NameLoc::get(b.getStringAttr(frame.prefix + name), file);
}

FailureOr<Type> GraphImporter::importType(Location loc, const proto::Type &type) {
  if (type.kind == proto::Type::Kind::Other)
    return emitError(loc, "is of the kind '") << type.other << "', but moec supports tensors only";
  if (type.kind == proto::Type::Kind::None || type.elementType == 0)
    return Type(onnx::UnknownType::get(b.getContext()));
  Type element = importElementType(loc, type.elementType);
  if (!element)
    return failure();
  if (!type.shape)
    return Type(UnrankedTensorType::get(element));
  SmallVector<int64_t> shape;
  for (const proto::Dim &dim : *type.shape) {
    if (dim.value && *dim.value < 0)
      return emitError(loc, "has the negative dimension ") << *dim.value;
    shape.push_back(dim.value.value_or(ShapedType::kDynamic));
  }
  if (!hasRepresentableSize(shape))
    return emitError(loc, "has more elements than moec can count");
  return Type(RankedTensorType::get(shape, element));
}

LogicalResult GraphImporter::declareTypes(const proto::Graph &graph, const Frame &frame,
                                          Types &types) {
  for (const auto *values : {&graph.outputs, &graph.values})
    for (const proto::Value &value : *values) {
      FailureOr<Type> type = importType(named(frame, value.name), value.type);
      if (failed(type))
        return failure();
      types.try_emplace(value.name, *type);
    }
  return success();
}

LogicalResult GraphImporter::define(Location loc, StringRef name, Value value, const Frame &frame,
                                    ValueScope &scope) {
  if (name.empty())
    return success();
  // What an inlined function returns learns its type from the graph.
  if (Type declared = frame.types.lookup(name))
    if (isa<onnx::UnknownType>(value.getType()))
      value.setType(declared);
  if (!scope.define(name, value))
    return emitError(loc, "defines the value '") << name << "' a second time";
  return success();
}

LogicalResult GraphImporter::importInitializers(const proto::Graph &graph, const Frame &frame,
                                                ValueScope &scope) {
  if (graph.hasSparseInitializers)
    return emitError(file, "has sparse initializers, which moec does not support");
  for (const proto::Tensor &tensor : graph.initializers) {
    Location loc = named(frame, tensor.name);
    if (tensor.name.empty())
      return emitError(loc, "is an initializer without a name");
    FailureOr<Value> value = importTensor(loc, tensor.name, tensor);
    if (failed(value) || failed(define(loc, tensor.name, *value, frame, scope)))
      return failure();
  }
  return success();
}

LogicalResult GraphImporter::importGraph(const proto::Graph &graph, const Frame &frame,
                                         Block *block, ValueScope &scope,
                                         SmallVectorImpl<Value> &results) {
  b.setInsertionPointToEnd(block);
  if (failed(importInitializers(graph, frame, scope)))
    return failure();
  llvm::StringSet<> names;
  for (const proto::Value &input : graph.inputs) {
    Location loc = named(frame, input.name);
    if (!names.insert(input.name).second)
      return emitError(loc, "is an input twice");
    // An input with an initializer is a constant with a name.
    if (scope.isLocal(input.name))
      continue;
    FailureOr<Type> type = importType(loc, input.type);
    if (failed(type) ||
        failed(define(loc, input.name, block->addArgument(*type, loc), frame, scope)))
      return failure();
  }
  for (auto [index, node] : llvm::enumerate(graph.nodes))
    if (failed(importNode(node, index, frame, scope)))
      return failure();
  for (const proto::Value &output : graph.outputs) {
    results.push_back(scope.lookup(output.name));
    if (!results.back())
      return emitError(named(frame, output.name), "is an output that nothing defines");
  }
  return success();
}

LogicalResult GraphImporter::importBody(Location loc, const proto::Graph &graph, const Frame &frame,
                                        const ValueScope &outer, Region &region) {
  Types types;
  if (failed(declareTypes(graph, frame, types)))
    return failure();
  Frame inner{frame.opsets, types,        frame.function, frame.arguments,
              frame.caller, frame.prefix, frame.depth};
  OpBuilder::InsertionGuard guard(b);
  ValueScope scope(&outer);
  SmallVector<Value> results;
  if (failed(importGraph(graph, inner, &region.emplaceBlock(), scope, results)))
    return failure();
  onnx::YieldOp::create(b, loc, results);
  return success();
}

LogicalResult GraphImporter::importMain(const proto::Graph &graph, const OpsetVersions &opsets) {
  Types types;
  Frame frame{opsets, types};
  if (failed(declareTypes(graph, frame, types)))
    return failure();
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToEnd(module.getBody());
  symbols.insert("main");
  auto function = func::FuncOp::create(b, file, "main", b.getFunctionType({}, {}));
  Block *block = function.addEntryBlock();
  ValueScope scope;
  SmallVector<Value> results;
  if (failed(importGraph(graph, frame, block, scope, results)))
    return failure();
  func::ReturnOp::create(b, file, results);
  function.setType(b.getFunctionType(block->getArgumentTypes(), TypeRange(ValueRange(results))));

  llvm::StringSet<> initializers;
  for (const proto::Tensor &tensor : graph.initializers)
    initializers.insert(tensor.name);
  unsigned argument = 0;
  for (const proto::Value &input : graph.inputs) {
    if (initializers.contains(input.name))
      continue;
    if (isa<onnx::UnknownType>(block->getArgument(argument).getType()))
      return emitError(named(frame, input.name), "is an input without a type");
    function.setArgAttrs(argument++, describe(b, input));
  }
  for (auto [index, output] : llvm::enumerate(graph.outputs))
    function.setResultAttrs(index, describe(b, output));
  return success();
}

} // namespace moec
