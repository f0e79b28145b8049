#include "lib/inspect/ModelReport.h"

#include "dialects/onnx/OnnxDialect.h"
#include "dialects/rt/RtDialect.h"
#include "lib/inspect/Blocks.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include <map>

using namespace mlir;
namespace json = llvm::json;

namespace moec {
namespace {

json::Array dimsOf(Type type, ArrayAttr names) {
  json::Array dims;
  auto tensor = dyn_cast<RankedTensorType>(type);
  for (int64_t dim = 0, rank = tensor ? tensor.getRank() : 0; dim < rank; ++dim) {
    auto name = names && dim < static_cast<int64_t>(names.size()) ? dyn_cast<StringAttr>(names[dim])
                                                                  : StringAttr();
    if (!tensor.isDynamicDim(dim))
      dims.push_back(tensor.getDimSize(dim));
    else
      dims.push_back(name ? json::Value(name.getValue()) : json::Value(nullptr));
  }
  return dims;
}

json::Object describeValue(Type type, DictionaryAttr attributes) {
  auto get = [&](StringRef key) { return attributes ? attributes.get(key) : Attribute(); };
  auto name = dyn_cast_or_null<StringAttr>(get("onnx.name"));
  std::string element = "unknown";
  if (auto tensor = dyn_cast<TensorType>(type)) {
    element.clear();
    llvm::raw_string_ostream(element) << tensor.getElementType();
  }
  return json::Object{{"name", name ? name.getValue() : ""},
                      {"type", element},
                      {"dims", dimsOf(type, dyn_cast_or_null<ArrayAttr>(get("onnx.dims")))}};
}

json::Array describeOperators(ModuleOp module) {
  std::map<std::tuple<std::string, std::string, int64_t>, int64_t> counts;
  module.walk([&](onnx::NodeOp node) {
    ++counts[{node.getDomain().str(), node.getOpType().str(), node.getVersion()}];
  });
  json::Array result;
  for (const auto &[key, count] : counts)
    result.push_back(json::Object{{"domain", std::get<0>(key)},
                                  {"operator", std::get<1>(key)},
                                  {"version", std::get<2>(key)},
                                  {"count", count}});
  return result;
}

json::Object describeWeights(ModuleOp module) {
  int64_t count = 0, bytes = 0;
  for (auto weight : module.getOps<rt::WeightOp>()) {
    ++count;
    bytes += weight.getSource().getAs<IntegerAttr>("length").getInt();
  }
  return json::Object{{"count", count}, {"bytes", bytes}};
}

/// The nodes that became ops of the moe or attn dialect.
llvm::StringSet<> raisedNodes(ModuleOp raised) {
  llvm::StringSet<> names;
  if (raised)
    raised.walk([&](Operation *op) {
      StringRef dialect = op->getName().getDialectNamespace();
      if (dialect == "moe" || dialect == "attn")
        names.insert(onnxName(op->getLoc()));
    });
  return names;
}

json::Array describeMoe(ModuleOp imported, const llvm::StringSet<> &raised) {
  json::Array result;
  for (const MoeBlock &block : findMoeBlocks(imported)) {
    StringRef name = onnxName(block.anchor->getLoc());
    json::Object entry{{"node", name},
                       {"operator", cast<onnx::NodeOp>(block.anchor).getOpType()},
                       {"form", describe(block.form)},
                       {"raised", raised.contains(name)}};
    if (block.experts)
      entry["experts"] = *block.experts;
    if (block.topK)
      entry["top_k"] = *block.topK;
    if (!block.router.empty())
      entry["router"] = block.router;
    result.push_back(std::move(entry));
  }
  return result;
}

json::Array describeAttention(ModuleOp imported, const llvm::StringSet<> &raised) {
  json::Array result;
  for (const AttentionBlock &block : findAttentionBlocks(imported)) {
    auto node = cast<onnx::NodeOp>(block.anchor);
    StringRef name = onnxName(node.getLoc());
    json::Object entry{{"node", name},
                       {"operator", node.getOpType()},
                       {"form", block.isFused ? "one operator" : "products and softmax"},
                       {"raised", raised.contains(name)}};
    for (auto [key, parameter] : {std::pair("heads", "num_heads"),
                                  {"heads", "q_num_heads"},
                                  {"kv_heads", "kv_num_heads"},
                                  {"window", "local_window_size"}})
      if (auto value = node.getParameters().getAs<IntegerAttr>(parameter))
        entry[key] = value.getInt();
    result.push_back(std::move(entry));
  }
  return result;
}

std::string tensorText(const json::Object &tensor) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << *tensor.getString("name") << ": " << *tensor.getString("type") << " [";
  llvm::ListSeparator comma;
  for (const json::Value &dim : *tensor.getArray("dims")) {
    os << comma;
    if (auto size = dim.getAsInteger())
      os << *size;
    else
      os << dim.getAsString().value_or("?");
  }
  os << "]";
  return text;
}

/// Blocks that differ in nothing but the node's name are printed as one line.
void printBlocks(StringRef title, const json::Array &blocks, llvm::raw_ostream &os) {
  os << title << ": " << blocks.size() << '\n';
  std::map<std::string, std::pair<std::string, int>> kinds;
  for (const json::Value &value : blocks) {
    const json::Object &block = *value.getAsObject();
    std::string text = (*block.getString("operator") + ", " + *block.getString("form")).str();
    if (auto experts = block.getInteger("experts"))
      text += ", " + std::to_string(*experts) + " experts";
    if (auto k = block.getInteger("top_k"))
      text += ", top-" + std::to_string(*k);
    if (auto router = block.getString("router"))
      text += (", " + *router).str();
    if (auto heads = block.getInteger("heads"))
      text += ", " + std::to_string(*heads) + " heads";
    if (auto heads = block.getInteger("kv_heads"))
      text += " on " + std::to_string(*heads);
    if (auto window = block.getInteger("window"); window && *window > 0)
      text += ", window " + std::to_string(*window);
    text += *block.getBoolean("raised") ? "; raised" : "; runs as ordinary operators";
    auto &[first, count] = kinds[text];
    if (count++ == 0)
      first = block.getString("node")->str();
  }
  for (const auto &[text, where] : kinds)
    os << "  " << where.second << " x " << text << "; first: " << where.first << '\n';
}

} // namespace

json::Object describeModel(ModuleOp imported, ModuleOp raised) {
  json::Array inputs, outputs;
  if (auto main = imported.lookupSymbol<func::FuncOp>("main")) {
    for (unsigned i = 0; i < main.getNumArguments(); ++i)
      inputs.push_back(describeValue(main.getArgumentTypes()[i], main.getArgAttrDict(i)));
    for (unsigned i = 0; i < main.getNumResults(); ++i)
      outputs.push_back(describeValue(main.getResultTypes()[i], main.getResultAttrDict(i)));
  }
  llvm::StringSet<> names = raisedNodes(raised);
  return json::Object{{"inputs", std::move(inputs)},
                      {"outputs", std::move(outputs)},
                      {"operators", describeOperators(imported)},
                      {"weights", describeWeights(imported)},
                      {"moe", describeMoe(imported, names)},
                      {"attention", describeAttention(imported, names)}};
}

void printModel(const json::Object &model, llvm::raw_ostream &os) {
  printBlocks("MoE blocks", *model.getArray("moe"), os);
  printBlocks("attention blocks", *model.getArray("attention"), os);
  for (StringRef side : {"inputs", "outputs"}) {
    os << side << ":\n";
    for (const json::Value &tensor : *model.getArray(side))
      os << "  " << tensorText(*tensor.getAsObject()) << '\n';
  }
  const json::Object &weights = *model.getObject("weights");
  os << "weights: " << *weights.getInteger("count") << " tensors, " << *weights.getInteger("bytes")
     << " bytes\n";
  os << "operators:\n";
  for (const json::Value &value : *model.getArray("operators")) {
    const json::Object &entry = *value.getAsObject();
    StringRef domain = *entry.getString("domain");
    os << "  " << *entry.getInteger("count") << " x " << domain << (domain.empty() ? "" : ".")
       << *entry.getString("operator") << " version " << *entry.getInteger("version") << '\n';
  }
}

} // namespace moec
