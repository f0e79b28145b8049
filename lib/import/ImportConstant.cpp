#include "dialects/onnx/OnnxDialect.h"
#include "dialects/rt/RtDialect.h"
#include "lib/import/GraphImporter.h"

using namespace mlir;

namespace moec {

std::string GraphImporter::uniqueSymbol(StringRef name) {
  std::string symbol = name.str();
  for (int suffix = 1; !symbols.insert(symbol).second; ++suffix)
    symbol = name.str() + "_" + std::to_string(suffix);
  return symbol;
}

FailureOr<Value> GraphImporter::importTensor(Location loc, StringRef name,
                                             const proto::Tensor &tensor) {
  FailureOr<RankedTensorType> type = tensors.type(loc, tensor);
  if (failed(type))
    return failure();
  FailureOr<TensorBytes> bytes = tensors.locate(loc, tensor, *type);
  if (failed(bytes))
    return failure();
  // Bytes that had to be decoded are in no file: they stay constants.
  if (!bytes->file || bytes->length < options.weightBytes) {
    FailureOr<DenseElementsAttr> elements = tensors.elements(loc, *bytes, *type);
    if (failed(elements))
      return failure();
    return onnx::ConstantOp::create(b, loc, *elements).getResult();
  }
  NamedAttribute source[] = {
      b.getNamedAttr("file", b.getStringAttr(*bytes->file)),
      b.getNamedAttr("length", b.getI64IntegerAttr(bytes->length)),
      b.getNamedAttr("offset", b.getI64IntegerAttr(bytes->offset)),
  };
  std::string symbol = uniqueSymbol(name);
  OpBuilder atModule(module.getContext());
  atModule.setInsertionPoint(module.getBody(), std::prev(module.getBody()->end()));
  rt::WeightOp::create(atModule, loc, symbol, *type, b.getDictionaryAttr(source),
                       /*stored=*/TypeAttr(), /*recipe=*/ArrayAttr());
  return rt::LoadWeightOp::create(b, loc, *type, symbol).getResult();
}

FailureOr<Value> GraphImporter::importConstantNode(Location loc, const proto::Node &node,
                                                   const Frame &frame) {
  if (node.outputs.size() != 1 || node.outputs.front().empty() || node.attributes.size() != 1)
    return emitError(loc, "a Constant has one output and one attribute");
  const proto::Attribute &given = node.attributes.front();
  FailureOr<const proto::Attribute *> meant = resolve(loc, given, frame);
  if (failed(meant))
    return failure();
  if (!*meant)
    return emitError(loc, "the function was not given the value of this Constant");

  using Kind = proto::Attribute;
  const proto::Attribute &value = **meant;
  auto vector = [](size_t size, Type element) {
    return RankedTensorType::get(static_cast<int64_t>(size), element);
  };
  Type si64 = b.getIntegerType(64, /*isSigned=*/true), f32 = b.getF32Type();
  DenseElementsAttr elements;
  if (given.name == "value" && value.kind == Kind::TensorKind && value.tensor)
    return importTensor(loc, node.outputs.front(), *value.tensor);
  if (given.name == "value_int" && value.kind == Kind::Int)
    elements = DenseElementsAttr::get(RankedTensorType::get({}, si64), value.i);
  else if (given.name == "value_ints" && value.kind == Kind::Ints)
    elements = DenseElementsAttr::get(vector(value.ints.size(), si64), ArrayRef(value.ints));
  else if (given.name == "value_float" && value.kind == Kind::Float)
    elements = DenseElementsAttr::get(RankedTensorType::get({}, f32), value.f);
  else if (given.name == "value_floats" && value.kind == Kind::Floats)
    elements = DenseElementsAttr::get(vector(value.floats.size(), f32), ArrayRef(value.floats));
  else
    return emitError(loc, "a Constant with the attribute '")
           << given.name << "' of kind " << value.kind << " is not supported";
  return onnx::ConstantOp::create(b, loc, elements).getResult();
}

} // namespace moec
