#include "lib/codegen/Metadata.h"

#include "lib/codegen/PtxCode.h"

#include "dialects/rt/Geometry.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinTypes.h"

using namespace mlir;
namespace json = llvm::json;

namespace moec {
namespace {

LLVM::LLVMFuncOp entryOf(ModuleOp module) {
  return module.lookupSymbol<LLVM::LLVMFuncOp>("moec_entry");
}

ArrayRef<Attribute> listOf(Operation *op, StringRef name) {
  auto list = op->getAttrOfType<ArrayAttr>(name);
  return list ? list.getValue() : ArrayRef<Attribute>();
}

json::Array strings(ArrayRef<Attribute> list) {
  json::Array result;
  for (Attribute element : list)
    result.push_back(cast<StringAttr>(element).getValue());
  return result;
}

/// A dimension: a number, the model's name for it, or null.
json::Value dimension(ShapedType type, int64_t dim, DictionaryAttr description) {
  if (!type.isDynamicDim(dim))
    return type.getDimSize(dim);
  if (auto names = description.getAs<ArrayAttr>("onnx.dims"); names && dim < int64_t(names.size()))
    if (auto name = dyn_cast<StringAttr>(names[dim]))
      return name.getValue();
  return nullptr;
}

json::Object tensor(DictionaryAttr description) {
  auto type = cast<ShapedType>(description.getAs<TypeAttr>("rt.type").getValue());
  json::Array dims;
  for (int64_t dim = 0; dim < type.getRank(); ++dim)
    dims.push_back(dimension(type, dim, description));
  auto name = description.getAs<StringAttr>("onnx.name");
  auto elementType = description.getAs<IntegerAttr>("onnx.type");
  return json::Object{{"name", name ? name.getValue() : ""},
                      {"type", elementType ? elementType.getInt() : 0},
                      {"dims", std::move(dims)}};
}

json::Array tensors(ArrayRef<Attribute> descriptions) {
  json::Array result;
  for (Attribute description : descriptions)
    result.push_back(tensor(cast<DictionaryAttr>(description)));
  return result;
}

/// Pairs of a past input and the output that it grows into.
json::Array states(ArrayRef<Attribute> outputs) {
  json::Array result;
  for (auto [index, output] : llvm::enumerate(outputs))
    if (auto state = cast<DictionaryAttr>(output).getAs<DictionaryAttr>("rt.state"))
      result.push_back(json::Object{{"input", state.getAs<IntegerAttr>("input").getInt()},
                                    {"output", static_cast<int64_t>(index)},
                                    {"axis", state.getAs<IntegerAttr>("axis").getInt()}});
  return result;
}

/// Pairs that look like state but have to be passed by the caller.
json::Array plainPairs(ArrayRef<Attribute> outputs) {
  json::Array result;
  for (auto [index, output] : llvm::enumerate(outputs))
    if (auto pair = cast<DictionaryAttr>(output).getAs<DictionaryAttr>("rt.plain"))
      result.push_back(json::Object{{"input", pair.getAs<IntegerAttr>("input").getInt()},
                                    {"output", static_cast<int64_t>(index)},
                                    {"why", pair.getAs<StringAttr>("why").getValue()}});
  return result;
}

/// The arena as multiples of products of dimensions; see rt-plan-memory.
json::Value plan(Operation *entry) {
  json::Array arena;
  for (Attribute element : listOf(entry, "rt.arena")) {
    auto group = cast<DictionaryAttr>(element);
    arena.push_back(json::Object{{"bytes", group.getAs<IntegerAttr>("bytes").getInt()},
                                 {"times", strings(group.getAs<ArrayAttr>("times").getValue())}});
  }
  auto number = [&](StringRef name) {
    auto attribute = entry->getAttrOfType<IntegerAttr>(name);
    return attribute ? attribute.getInt() : 0;
  };
  return json::Object{{"arena", std::move(arena)},
                      {"heap_buffers", number("rt.heap_buffers")},
                      {"reads", number("rt.reads")}};
}

json::Array sites(ArrayRef<Attribute> list) {
  json::Array result;
  for (Attribute element : list) {
    auto site = cast<DictionaryAttr>(element);
    json::Object object{{"kernel", site.getAs<IntegerAttr>("kernel").getInt()},
                        {"name", site.getAs<StringAttr>("name").getValue()},
                        {"op", site.getAs<StringAttr>("op").getValue()}};
    if (auto word = site.getAs<IntegerAttr>("word"))
      object["tokens_per_expert"] = json::Object{
          {"word", word.getInt()}, {"experts", site.getAs<IntegerAttr>("experts").getInt()}};
    result.push_back(std::move(object));
  }
  return result;
}

} // namespace

json::Object describeModule(ModuleOp module) {
  LLVM::LLVMFuncOp entry = entryOf(module);
  ArrayRef<Attribute> outputs = listOf(entry, "rt.outputs");
  return json::Object{{"moec", 1},
                      {"inputs", tensors(listOf(entry, "rt.inputs"))},
                      {"outputs", tensors(outputs)},
                      {"states", states(outputs)},
                      {"plain_pairs", plainPairs(outputs)},
                      {"plan", plan(entry)},
                      {"kernels", strings(listOf(entry, "rt.kernels"))},
                      {"sites", sites(listOf(entry, "rt.sites"))},
                      {"messages", strings(listOf(module, "rt.messages"))}};
}

json::Array describeGeometry(ModuleOp module, const CudaChip &chip) {
  json::Array result;
  llvm::StringMap<Operation *> variants = variantsFor(module, chip);
  for (Attribute element : listOf(entryOf(module), "rt.kernels")) {
    auto name = cast<StringAttr>(element);
    Operation *variant = variants.lookup(name);
    rt::Geometry geometry(variant ? variant : module.lookupSymbol(name));
    result.push_back(json::Object{
        {"threads", geometry.threads}, {"indices", geometry.indices}, {"shared", geometry.shared}});
  }
  return result;
}

SmallVector<StringAttr> weightSlots(ModuleOp module) {
  SmallVector<StringAttr> result;
  for (Attribute name : listOf(entryOf(module), "rt.weights"))
    result.push_back(cast<StringAttr>(name));
  return result;
}

} // namespace moec
