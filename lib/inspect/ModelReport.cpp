#include "lib/inspect/ModelReport.h"

#include "dialects/moe/MoeDialect.h"
#include "dialects/onnx/OnnxDialect.h"
#include "dialects/rt/RtDialect.h"
#include "lib/inspect/Blocks.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"
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

/// What became of the nodes, by their names.
class Fates {
public:
  Fates(ModuleOp raised, const Refusals &refusals) : isKnown(raised), refusals(refusals) {
    if (raised)
      raised.walk([&](Operation *op) {
        StringRef dialect = op->getName().getDialectNamespace();
        StringRef name = onnxName(op->getLoc());
        if (dialect == "moe" || dialect == "attn")
          nodes.insert(name);
        if (auto route = dyn_cast<moe::RouteOp>(op))
          routers[name] = describe(route.getRouter());
      });
  }

  void describeFate(StringRef name, json::Object &block) const {
    if (isKnown)
      block["raised"] = nodes.contains(name);
    else if (auto refusal = refusals.find(name); refusal != refusals.end())
      block["refused"] = refusal->second;
  }

  /// The router of a raised block, or an empty string.
  std::string routerOf(StringRef name) const { return routers.lookup(name); }

private:
  static std::string describe(moe::RouterAttr router) {
    SmallVector<std::string> parts;
    if (router.getScore() == moe::Score::sparse_mixer)
      parts.push_back("sparse mixer");
    else if (router.getScore() != moe::Score::raw)
      parts.push_back((stringifyScore(router.getScore()) + " before top-k").str());
    if (router.getKeptGroups() < router.getGroups())
      parts.push_back(llvm::formatv("in the best {0} of {1} groups", router.getKeptGroups(),
                                    router.getGroups()));
    if (router.getNormalize() == moe::Normalize::sum)
      parts.push_back("renormalised");
    else if (router.getNormalize() != moe::Normalize::keep)
      parts.push_back((stringifyNormalize(router.getNormalize()) + " after top-k").str());
    return llvm::join(parts, ", ");
  }

  bool isKnown;
  const Refusals &refusals;
  llvm::StringSet<> nodes;
  llvm::StringMap<std::string> routers;
};

json::Array describeMoe(ModuleOp imported, const Fates &fates) {
  json::Array result;
  for (const MoeBlock &block : findMoeBlocks(imported)) {
    StringRef name = onnxName(block.anchor->getLoc());
    json::Object entry{{"node", name},
                       {"operator", cast<onnx::NodeOp>(block.anchor).getOpType()},
                       {"form", describe(block.form)}};
    if (block.experts)
      entry["experts"] = *block.experts;
    if (block.topK)
      entry["top_k"] = *block.topK;
    std::string raisedRouter = fates.routerOf(name);
    if (const std::string &router = raisedRouter.empty() ? block.router : raisedRouter;
        !router.empty())
      entry["router"] = router;
    fates.describeFate(name, entry);
    result.push_back(std::move(entry));
  }
  return result;
}

json::Array describeAttention(ModuleOp imported, const Fates &fates) {
  json::Array result;
  for (const AttentionBlock &block : findAttentionBlocks(imported)) {
    auto node = cast<onnx::NodeOp>(block.anchor);
    StringRef name = onnxName(node.getLoc());
    json::Object entry{{"node", name},
                       {"operator", node.getOpType()},
                       {"form", block.isFused ? "one operator" : "products and softmax"}};
    for (auto [key, parameter] : {std::pair("heads", "num_heads"),
                                  {"heads", "q_num_heads"},
                                  {"kv_heads", "kv_num_heads"},
                                  {"window", "local_window_size"}})
      if (auto value = node.getParameters().getAs<IntegerAttr>(parameter))
        entry[key] = value.getInt();
    fates.describeFate(name, entry);
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
    if (auto isRaised = block.getBoolean("raised"))
      text += *isRaised ? "; raised" : "; runs as ordinary operators";
    else if (auto refused = block.getString("refused"))
      text += ("; " + *refused).str();
    auto &[first, count] = kinds[text];
    if (count++ == 0)
      first = block.getString("node")->str();
  }
  for (const auto &[text, where] : kinds)
    os << "  " << where.second << " x " << text << "; first: " << where.first << '\n';
}

} // namespace

json::Object describeModel(ModuleOp imported, ModuleOp raised, const Refusals &refusals) {
  json::Array inputs, outputs;
  if (auto main = imported.lookupSymbol<func::FuncOp>("main")) {
    for (unsigned i = 0; i < main.getNumArguments(); ++i)
      inputs.push_back(describeValue(main.getArgumentTypes()[i], main.getArgAttrDict(i)));
    for (unsigned i = 0; i < main.getNumResults(); ++i)
      outputs.push_back(describeValue(main.getResultTypes()[i], main.getResultAttrDict(i)));
  }
  Fates fates(raised, refusals);
  return json::Object{{"inputs", std::move(inputs)},
                      {"outputs", std::move(outputs)},
                      {"operators", describeOperators(imported)},
                      {"weights", describeWeights(imported)},
                      {"moe", describeMoe(imported, fates)},
                      {"attention", describeAttention(imported, fates)}};
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
