#include "dialects/onnx/OnnxDialect.h"
#include "lib/import/GraphImporter.h"

using namespace mlir;

namespace moec {
namespace {

/// Functions that call functions multiply; these bounds end an attack with an
/// error instead of with exhausted memory.
constexpr int kMaxCallDepth = 64;
constexpr int64_t kMaxInlinedNodes = 1 << 20;
/// Tensors in attributes become bytes in IR, which weights never are.
constexpr uint64_t kMaxAttributeBytes = 1 << 20;

/// Names that are left out at the end are not there at all.
ArrayRef<StringRef> withoutTrailingBlanks(ArrayRef<StringRef> names) {
  while (!names.empty() && names.back().empty())
    names = names.drop_back();
  return names;
}

} // namespace

StringRef canonicalDomain(StringRef domain) { return domain == "ai.onnx" ? "" : domain; }

std::string functionKey(StringRef domain, StringRef name, StringRef overload) {
  std::string key;
  for (StringRef part : {canonicalDomain(domain), name, overload})
    (key += part) += '\0';
  return key;
}

FailureOr<const proto::Attribute *>
GraphImporter::resolve(Location loc, const proto::Attribute &attribute, const Frame &frame) {
  if (attribute.reference.empty())
    return &attribute;
  if (!frame.function)
    return emitError(loc, "attribute '")
           << attribute.name << "' refers to a parameter outside a function";
  const proto::Attribute *meant = frame.arguments->lookup(attribute.reference);
  if (meant && meant->graph)
    return emitError(loc, "attribute '")
           << attribute.name << "' is a subgraph passed to a function, which moec does not support";
  return meant;
}

FailureOr<Attribute> GraphImporter::importAttribute(Location loc, StringRef name,
                                                    const proto::Attribute &attribute) {
  using Kind = proto::Attribute;
  switch (attribute.kind) {
  case Kind::Float:
    return Attribute(b.getF32FloatAttr(attribute.f));
  case Kind::Int:
    return Attribute(b.getI64IntegerAttr(attribute.i));
  case Kind::String:
    return Attribute(b.getStringAttr(attribute.s));
  case Kind::Floats:
    return Attribute(b.getDenseF32ArrayAttr(attribute.floats));
  case Kind::Ints:
    return Attribute(b.getDenseI64ArrayAttr(attribute.ints));
  case Kind::Strings:
    return Attribute(b.getStrArrayAttr(attribute.strings));
  case Kind::TensorKind: {
    if (!attribute.tensor)
      break;
    FailureOr<RankedTensorType> type = tensors.type(loc, *attribute.tensor);
    if (failed(type))
      return failure();
    if (packedBytes(*type) > kMaxAttributeBytes)
      return emitError(loc, "attribute '") << name << "' is a tensor of " << packedBytes(*type)
                                           << " bytes, more than " << kMaxAttributeBytes;
    FailureOr<DenseElementsAttr> elements = tensors.elements(loc, *attribute.tensor);
    if (failed(elements))
      return failure();
    return Attribute(*elements);
  }
  }
  return emitError(loc, "attribute '")
         << name << "' has the kind " << attribute.kind << ", which moec does not support";
}

FailureOr<GraphImporter::NodeAttributes>
GraphImporter::importAttributes(Location loc, const proto::Node &node, const Frame &frame) {
  NodeAttributes result;
  const proto::Graph *body = nullptr, *elseBody = nullptr;
  for (const proto::Attribute &attribute : node.attributes) {
    FailureOr<const proto::Attribute *> meant = resolve(loc, attribute, frame);
    if (failed(meant))
      return failure();
    if (!*meant)
      continue;
    if ((*meant)->kind == proto::Attribute::GraphKind && (*meant)->graph) {
      bool isElse = attribute.name == "else_branch";
      if (!isElse && attribute.name != "then_branch" && attribute.name != "body")
        return emitError(loc, "has the unknown subgraph '") << attribute.name << "'";
      if (std::exchange(isElse ? elseBody : body, (*meant)->graph.get()))
        return emitError(loc, "has a second subgraph '") << attribute.name << "'";
      continue;
    }
    FailureOr<Attribute> value = importAttribute(loc, attribute.name, **meant);
    if (failed(value))
      return failure();
    if (attribute.name.empty())
      return emitError(loc, "has an attribute without a name");
    if (result.parameters.set(attribute.name, *value))
      return emitError(loc, "has a second attribute '") << attribute.name << "'";
  }
  if (elseBody && !body)
    return emitError(loc, "has the subgraph 'else_branch' alone");
  for (const proto::Graph *graph : {body, elseBody})
    if (graph)
      result.bodies.push_back(graph);
  return result;
}

LogicalResult GraphImporter::importOperands(Location loc, const proto::Node &node,
                                            const ValueScope &scope,
                                            SmallVectorImpl<Value> &operands) {
  for (StringRef name : withoutTrailingBlanks(node.inputs)) {
    if (name.empty()) {
      operands.push_back(onnx::AbsentOp::create(b, loc, b.getNoneType()));
      continue;
    }
    operands.push_back(scope.lookup(name));
    if (!operands.back())
      return emitError(loc, node.operation)
             << " uses the value '" << name << "', which nothing before it defines";
  }
  return success();
}

LogicalResult GraphImporter::importNode(const proto::Node &node, size_t index, const Frame &frame,
                                        ValueScope &scope) {
  std::string name = node.name.str();
  Location loc =
      named(frame, name.empty() ? node.operation.str() + "#" + std::to_string(index) : name);
  if (node.operation.empty())
    return emitError(loc, "names no operator");
  if (frame.function && ++inlinedNodes > kMaxInlinedNodes)
    return emitError(loc, "functions expand to more than ") << kMaxInlinedNodes << " nodes";
  StringRef domain = canonicalDomain(node.domain);
  ArrayRef<StringRef> outputs = withoutTrailingBlanks(node.outputs);
  if (domain.empty() && node.operation == "Constant") {
    FailureOr<Value> value = importConstantNode(loc, node, frame);
    return failed(value) ? failure() : define(loc, outputs.front(), *value, frame, scope);
  }

  SmallVector<Value> operands;
  if (failed(importOperands(loc, node, scope, operands)))
    return failure();
  if (auto *function = functions.lookup(functionKey(domain, node.operation, node.overload)))
    return inlineFunction(loc, node, *function, operands, frame, scope);

  int64_t version = frame.opsets.lookup(domain);
  if (!version)
    return emitError(loc, node.operation)
           << " is an operator of the domain '" << domain << "', which the model does not import";
  FailureOr<NodeAttributes> attributes = importAttributes(loc, node, frame);
  if (failed(attributes))
    return failure();
  SmallVector<Type> types;
  for (StringRef output : outputs) {
    Type declared = frame.types.lookup(output);
    types.push_back(declared ? declared : onnx::UnknownType::get(b.getContext()));
  }
  auto op = onnx::NodeOp::create(b, loc, types, b.getStringAttr(node.operation),
                                 b.getStringAttr(domain), b.getI64IntegerAttr(version),
                                 attributes->parameters.getDictionary(b.getContext()), operands,
                                 attributes->bodies.size());
  for (auto [graph, region] : llvm::zip_equal(attributes->bodies, op.getBodies()))
    if (failed(importBody(loc, *graph, frame, scope, region)))
      return failure();
  for (auto [output, value] : llvm::zip_equal(outputs, op.getOutputs()))
    if (failed(define(loc, output, value, frame, scope)))
      return failure();
  return success();
}

LogicalResult GraphImporter::inlineFunction(Location loc, const proto::Node &node,
                                            const proto::Function &function, ValueRange inputs,
                                            const Frame &frame, ValueScope &scope) {
  for (const Frame *caller = &frame; caller; caller = caller->caller)
    if (caller->function == &function)
      return emitError(loc, "function '") << function.name << "' calls itself";
  if (frame.depth == kMaxCallDepth)
    return emitError(loc, "functions are nested more than ") << kMaxCallDepth << " deep";
  if (inputs.size() > function.inputs.size() || node.outputs.size() > function.outputs.size())
    return emitError(loc, "function '")
           << function.name << "' has " << function.inputs.size() << " inputs and "
           << function.outputs.size() << " outputs, but the node has " << inputs.size() << " and "
           << node.outputs.size();

  FunctionArguments arguments;
  for (const proto::Attribute &attribute : function.defaults)
    arguments[attribute.name] = &attribute;
  for (const proto::Attribute &attribute : node.attributes) {
    FailureOr<const proto::Attribute *> meant = resolve(loc, attribute, frame);
    if (failed(meant))
      return failure();
    if (*meant)
      arguments[attribute.name] = *meant;
  }
  OpsetVersions opsets;
  for (const proto::Opset &opset : function.opsets)
    opsets[canonicalDomain(opset.domain)] = opset.version;

  Types noTypes;
  std::string prefix = cast<NameLoc>(loc).getName().str() + "/";
  Frame inner{opsets, noTypes, &function, &arguments, &frame, prefix, frame.depth + 1};
  ValueScope values;
  for (auto [index, name] : llvm::enumerate(function.inputs)) {
    Value value = index < inputs.size()
                      ? inputs[index]
                      : onnx::AbsentOp::create(b, loc, b.getNoneType()).getResult();
    if (failed(define(loc, name, value, inner, values)))
      return failure();
  }
  for (auto [index, inlined] : llvm::enumerate(function.nodes))
    if (failed(importNode(inlined, index, inner, values)))
      return failure();
  for (auto [output, name] : llvm::zip(node.outputs, function.outputs)) {
    Value value = values.lookup(name);
    if (!value)
      return emitError(loc, "function '")
             << function.name << "' does not define its output '" << name << "'";
    if (failed(define(loc, output, value, frame, scope)))
      return failure();
  }
  return success();
}

} // namespace moec
