#include "runtime/Model.h"
#include "tools/moec/Inspect.h"
#include "tools/moec/LanguageModel.h"

#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

using namespace moec::runtime;
using nlohmann::json;

namespace moec::tools {
namespace {

std::string dimsText(const TensorInfo &info) {
  std::string text = moec_element_name(info.type);
  text += " [";
  for (const Dimension &dim : info.dims) {
    text += &dim == info.dims.data() ? "" : ", ";
    text += dim.size >= 0 ? std::to_string(dim.size) : dim.symbol.empty() ? "?" : dim.symbol;
  }
  return text + "]";
}

void printTensors(const char *title, const std::vector<TensorInfo> &tensors,
                  const std::vector<TensorInfo> &partners) {
  std::printf("%s:\n", title);
  for (const TensorInfo &info : tensors) {
    std::printf("  %s: %s", info.name.c_str(), dimsText(info).c_str());
    if (info.state >= 0)
      std::printf(", state with %s along dimension %d", partners[info.state].name.c_str(),
                  info.stateAxis);
    std::printf("\n");
  }
}

void printKernels(const Metadata &metadata) {
  struct Use {
    int launches = 0;
    std::set<int32_t> kernels;
  };
  std::map<std::string, Use> uses;
  for (const Site &site : metadata.sites) {
    // Kernels of one kind are numbered: matmul_3.
    size_t kind = site.op.find_last_not_of("0123456789");
    bool isNumbered = kind != std::string::npos && site.op[kind] == '_';
    Use &use = uses[isNumbered ? site.op.substr(0, kind) : site.op];
    ++use.launches;
    use.kernels.insert(site.kernel);
  }
  std::printf("kernels: %zu, launched at %zu sites\n", metadata.kernels.size(),
              metadata.sites.size());
  for (const auto &[op, use] : uses)
    std::printf("  %s: %d sites, %zu kernels\n", op.c_str(), use.launches, use.kernels.size());
}

std::string plain(const json &value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

/// "kind MoE, raised, top_k 2": what the compiler chose for people to read.
std::string blockText(const json &block) {
  std::string text;
  for (const auto &[key, value] : block.items()) {
    if (key == "name")
      continue;
    text += text.empty() ? "" : ", ";
    if (value.is_boolean())
      text += value.get<bool>() ? key : "not " + key;
    else
      text += key + " " + plain(value);
  }
  return text;
}

/// Pairs that look like state, by why they are not.
void printPlainPairs(const json &root, const Metadata &metadata) {
  auto pairs = root.find("plain_pairs");
  if (pairs == root.end())
    return;
  std::map<std::string, std::string> byReason;
  for (const json &pair : *pairs) {
    size_t input = pair.value("input", size_t(-1)), output = pair.value("output", size_t(-1));
    if (input < metadata.inputs.size() && output < metadata.outputs.size())
      byReason[pair.value("why", "")] +=
          "    " + metadata.inputs[input].name + " -> " + metadata.outputs[output].name + "\n";
  }
  for (const auto &[why, list] : byReason)
    std::printf("pairs for the caller to pass on; %s:\n%s", why.c_str(), list.c_str());
}

/// "arena: 320 + 5952 x batch_size x sequence_length bytes".
void printPlan(const json &root) {
  auto plan = root.find("plan");
  if (plan == root.end() || !plan->contains("arena"))
    return;
  std::map<std::string, int64_t> bytes;
  for (const json &group : (*plan)["arena"]) {
    std::multiset<std::string> sizes;
    for (const json &size : group.value("times", json::array()))
      sizes.insert(plain(size));
    std::string times;
    for (const std::string &size : sizes)
      times += " x " + size;
    bytes[times] += group.value("bytes", int64_t(0));
  }
  std::string sum;
  for (const auto &[times, count] : bytes)
    sum += (sum.empty() ? "" : " + ") + std::to_string(count) + times;
  std::printf("arena: %s bytes; buffers on the heap: %d\n", sum.empty() ? "0" : sum.c_str(),
              plan->value("heap_buffers", 0));
  if (root.value("target", "") != "cpu")
    std::printf("places where host code waits for the device: %d\n", plan->value("reads", 0));
}

/// Blocks that differ in nothing but their name are one line.
void printBlocks(const json &root) {
  auto blocks = root.find("blocks");
  if (blocks == root.end() || !blocks->is_array() || blocks->empty())
    return;
  std::map<std::string, std::vector<std::string>> names;
  for (const json &block : *blocks)
    if (block.is_object())
      names[blockText(block)].push_back(plain(block.value("name", json("(unnamed)"))));
  std::printf("blocks: %zu\n", blocks->size());
  for (const auto &[text, equal] : names)
    std::printf("  %zu x %s; first: %s\n", equal.size(), text.c_str(), equal.front().c_str());
}

/// " (sm_80 cubin, sm_80 ptx)", best first.
std::string deviceCodeText(const Metadata &metadata) {
  std::string text;
  for (const DeviceCode &code : metadata.deviceCode)
    text += (text.empty() ? " (" : ", ") + code.chip + " " + code.kind;
  return text.empty() ? text : text + ")";
}

void print(const std::string &path, const Artifact &artifact, const Metadata &metadata) {
  std::printf("%s: compiled for %s, %s\n", path.c_str(), metadata.target.c_str(),
              metadata.chip.empty() ? "any chip" : metadata.chip.c_str());
  std::printf("code: %s", bytesText(artifact.part(MOEC_PART_HOST_CODE).size()).c_str());
  if (size_t device = artifact.part(MOEC_PART_DEVICE_CODE).size())
    std::printf(", of the device: %s%s", bytesText(device).c_str(),
                deviceCodeText(metadata).c_str());
  std::printf("\nweights: %zu tensors, %s\n", metadata.weights.slots.size(),
              bytesText(metadata.weights.length).c_str());
  printTensors("inputs", metadata.inputs, metadata.outputs);
  printTensors("outputs", metadata.outputs, metadata.inputs);
  json root = json::parse(artifact.part(MOEC_PART_METADATA));
  printPlainPairs(root, metadata);
  printKernels(metadata);
  printPlan(root);
  printBlocks(root);
}

Status verifyWeights(const std::string &path, const Metadata &metadata) {
  if (metadata.weights.slots.empty())
    return {};
  Weights weights;
  return weights.load(weightsPath(path, metadata.weights.file), metadata.weights, MOEC_WEIGHTS_MAP,
                      /*verify=*/true);
}

/// Runs one prompt: what is in memory then is what it takes.
int measure(const Arguments &arguments, const std::string &path, int64_t batch, int64_t sequence,
            moec_memory_report &memory) {
  LoadedModel loaded;
  if (int exit = loaded.load(inspectCommand, arguments, path, sequence))
    return exit;
  LanguageModel language;
  if (Status error = language.attach(loaded, batch))
    return complain(error);
  if (Status error = language.advance(std::vector<int64_t>(batch * sequence)))
    return complain(error);
  moec_session_memory(loaded.session, &memory);
  return kDone;
}

void printJson(const Artifact &artifact, int64_t batch, int64_t sequence,
               const moec_memory_report &memory) {
  json root = json::parse(artifact.part(MOEC_PART_METADATA));
  if (sequence)
    root["memory"] = {{"batch", batch},
                      {"sequence", sequence},
                      {"weights", memory.weights},
                      {"state", memory.state},
                      {"arena", memory.arena},
                      {"heap_peak", memory.heap_peak},
                      {"outputs", memory.outputs},
                      {"process_peak", memory.process_peak}};
  std::printf("%s\n", root.dump().c_str());
}

} // namespace

bool looksLikeArtifact(const std::string &path) {
  InputFile file;
  char magic[sizeof MOEC_ARTIFACT_MAGIC - 1];
  return !file.open(path) && !file.read(0, magic, sizeof magic) &&
         std::memcmp(magic, MOEC_ARTIFACT_MAGIC, sizeof magic) == 0;
}

int inspectArtifact(const Arguments &arguments, const std::string &path) {
  constexpr int64_t kMost = 1 << 24;
  int64_t batch = 1, sequence = 0;
  for (const Status &error : {arguments.integer("--batch", 1, kMost, batch),
                              arguments.integer("--sequence", 1, kMost, sequence)})
    if (error)
      return misuse(inspectCommand, error.message());
  Artifact artifact;
  Metadata metadata;
  if (Status error = artifact.read(path))
    return complain(error);
  if (Status error = parseMetadata(artifact.part(MOEC_PART_METADATA), metadata))
    return complain(error);
  if (arguments.has("--verify"))
    if (Status error = verifyWeights(path, metadata))
      return complain(error);
  moec_memory_report memory{};
  if (sequence)
    if (int exit = measure(arguments, path, batch, sequence, memory))
      return exit;
  if (arguments.has("--json")) {
    printJson(artifact, batch, sequence, memory);
    return kDone;
  }
  print(path, artifact, metadata);
  if (sequence)
    std::printf("memory for batch %lld, sequence %lld: %s\n", static_cast<long long>(batch),
                static_cast<long long>(sequence), memoryText(memory).c_str());
  return kDone;
}

} // namespace moec::tools
