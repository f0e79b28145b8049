#include "runtime/Metadata.h"

#include <limits>
#include <nlohmann/json.hpp>

using nlohmann::json;

namespace moec::runtime {
namespace {

/// Reads typed members; the first thing that is not as documented is kept as
/// the error, and everything after it reads as empty.
class Reader {
public:
  Status status() const { return error.empty() ? Status() : Status(MOEC_DAMAGED, error); }

  void fail(const std::string &where, const char *expected) {
    if (error.empty())
      error = "metadata: '" + where + "' is not " + expected;
  }

  int64_t integer(const json &object, const std::string &where, const char *key, int64_t low = 0,
                  int64_t high = std::numeric_limits<int64_t>::max()) {
    const json *member = find(object, key);
    int64_t value = member && member->is_number_integer() ? member->get<int64_t>() : low - 1;
    if (value >= low && value <= high)
      return value;
    fail(join(where, key), "an integer in range");
    return low;
  }

  std::string text(const json &object, const std::string &where, const char *key,
                   bool required = true) {
    const json *member = find(object, key);
    if (!member && !required)
      return {};
    if (!member || !member->is_string())
      return fail(join(where, key), "a string"), "";
    return member->get<std::string>();
  }

  /// Calls visit(element, its place) for every element of an array.
  template <typename Visit>
  void each(const json &object, const std::string &where, const char *key, bool required,
            Visit visit) {
    std::string place = join(where, key);
    const json *member = find(object, key);
    if (!member && !required)
      return;
    if (!member || !member->is_array())
      return fail(place, "an array");
    size_t index = 0;
    for (const json &element : *member)
      visit(element, place + "[" + std::to_string(index++) + "]");
  }

  std::vector<std::string> texts(const json &object, const std::string &where, const char *key,
                                 bool required) {
    std::vector<std::string> result;
    each(object, where, key, required, [&](const json &element, const std::string &place) {
      if (element.is_string())
        result.push_back(element.get<std::string>());
      else
        fail(place, "a string");
    });
    return result;
  }

  static const json *find(const json &object, const char *key) {
    if (!object.is_object())
      return nullptr;
    auto member = object.find(key);
    return member == object.end() ? nullptr : &*member;
  }

private:
  static std::string join(const std::string &where, const char *key) {
    return where.empty() ? key : where + "." + key;
  }

  std::string error;
};

std::vector<TensorInfo> readTensors(Reader &reader, const json &root, const char *key) {
  std::vector<TensorInfo> result;
  reader.each(root, "", key, true, [&](const json &element, const std::string &where) {
    TensorInfo info;
    info.name = reader.text(element, where, "name");
    info.type = static_cast<int32_t>(reader.integer(element, where, "type", 1, 64));
    if (!moec_element_bits(info.type))
      reader.fail(where + ".type", "an element type");
    reader.each(element, where, "dims", true, [&](const json &dim, const std::string &place) {
      Dimension result;
      if (dim.is_number_integer() && dim.get<int64_t>() >= 0)
        result.size = dim.get<int64_t>();
      else if (dim.is_string())
        result.symbol = dim.get<std::string>();
      else if (!dim.is_null())
        reader.fail(place, "a size, a name or null");
      info.dims.push_back(std::move(result));
    });
    if (info.dims.size() > MOEC_MAX_RANK)
      reader.fail(where + ".dims", "of a supported rank");
    result.push_back(std::move(info));
  });
  return result;
}

/// Links the pairs; both sides must describe the same tensor but for the axis.
void readStates(Reader &reader, const json &root, Metadata &metadata) {
  reader.each(root, "", "states", false, [&](const json &element, const std::string &where) {
    auto input = reader.integer(element, where, "input", 0, int64_t(metadata.inputs.size()) - 1);
    auto output = reader.integer(element, where, "output", 0, int64_t(metadata.outputs.size()) - 1);
    auto axis = reader.integer(element, where, "axis", 0, MOEC_MAX_RANK - 1);
    if (reader.status())
      return;
    TensorInfo &past = metadata.inputs[input], &present = metadata.outputs[output];
    bool fits = past.type == present.type && past.rank() == present.rank() && axis < past.rank() &&
                past.state < 0 && present.state < 0 && past.dims[axis].size < 0;
    if (!fits)
      return reader.fail(where, "a pair of a past and a present");
    past.state = static_cast<int32_t>(output), present.state = static_cast<int32_t>(input);
    past.stateAxis = present.stateAxis = static_cast<int32_t>(axis);
    metadata.states.push_back({present.state, past.state, past.stateAxis});
  });
}

void readSites(Reader &reader, const json &root, Metadata &metadata) {
  reader.each(root, "", "sites", true, [&](const json &element, const std::string &where) {
    Site site;
    site.kernel = static_cast<int32_t>(
        reader.integer(element, where, "kernel", 0, int64_t(metadata.kernels.size()) - 1));
    site.name = reader.text(element, where, "name");
    site.op = reader.text(element, where, "op");
    if (const json *tokens = Reader::find(element, "tokens_per_expert")) {
      std::string place = where + ".tokens_per_expert";
      site.offsetsWord = static_cast<int32_t>(reader.integer(*tokens, place, "word", 1, 1 << 16));
      site.experts = static_cast<int32_t>(reader.integer(*tokens, place, "experts", 1, 1 << 16));
    }
    metadata.sites.push_back(std::move(site));
  });
}

void readGeometry(Reader &reader, const json &code, const std::string &place,
                  const Metadata &metadata, std::vector<Geometry> &geometry) {
  reader.each(code, place, "geometry", true, [&](const json &element, const std::string &where) {
    geometry.push_back({reader.integer(element, where, "threads", 1, 1024),
                        reader.integer(element, where, "indices", 1, 1024),
                        reader.integer(element, where, "shared", 0, 1 << 20)});
  });
  if (geometry.size() != metadata.kernels.size())
    reader.fail(place + ".geometry", "as long as 'kernels'");
}

void readDeviceCode(Reader &reader, const json &root, Metadata &metadata) {
  reader.each(root, "", "device_code", false, [&](const json &element, const std::string &where) {
    DeviceCode &code = metadata.deviceCode.emplace_back(
        DeviceCode{reader.text(element, where, "chip"),
                   reader.text(element, where, "kind"),
                   static_cast<uint64_t>(reader.integer(element, where, "offset")),
                   static_cast<uint64_t>(reader.integer(element, where, "length")),
                   {}});
    readGeometry(reader, element, where, metadata, code.geometry);
  });
}

void readPlan(Reader &reader, const json &root, Metadata &metadata) {
  const json *plan = Reader::find(root, "plan");
  if (!plan)
    return;
  reader.each(*plan, "plan", "arena", false, [&](const json &term, const std::string &where) {
    metadata.arena.push_back(
        {reader.integer(term, where, "bytes"), reader.texts(term, where, "times", true)});
  });
}

void readWeights(Reader &reader, const json &root, WeightsInfo &weights) {
  const json *object = Reader::find(root, "weights");
  if (!object)
    return;
  weights.file = reader.text(*object, "weights", "file", false);
  weights.length = reader.integer(*object, "weights", "length");
  weights.headerBytes = reader.integer(*object, "weights", "header_bytes", 0, weights.length);
  weights.headerSha256 = reader.text(*object, "weights", "header_sha256");
  reader.each(*object, "weights", "slots", true, [&](const json &slot, const std::string &where) {
    uint64_t offset = reader.integer(slot, where, "offset", weights.headerBytes, weights.length);
    if (offset % 64)
      reader.fail(where + ".offset", "a multiple of 64");
    uint64_t bytes = reader.integer(slot, where, "bytes", 0, weights.length - offset);
    weights.slots.push_back({reader.text(slot, where, "name"), offset, bytes,
                             reader.text(slot, where, "sha256", false)});
  });
}

} // namespace

Status parseMetadata(std::string_view text, Metadata &metadata) {
  json root = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!root.is_object())
    return failure(MOEC_DAMAGED, "metadata: not JSON");
  Reader reader;
  reader.integer(root, "", "moec", 1, 1);
  metadata.target = reader.text(root, "", "target");
  if (const json *chip = Reader::find(root, "chip")) {
    metadata.chip = reader.text(*chip, "chip", "name");
    metadata.features = reader.texts(*chip, "chip", "features", false);
  }
  metadata.inputs = readTensors(reader, root, "inputs");
  metadata.outputs = readTensors(reader, root, "outputs");
  readStates(reader, root, metadata);
  metadata.kernels = reader.texts(root, "", "kernels", true);
  metadata.messages = reader.texts(root, "", "messages", true);
  readSites(reader, root, metadata);
  readDeviceCode(reader, root, metadata);
  readWeights(reader, root, metadata.weights);
  readPlan(reader, root, metadata);
  return reader.status();
}

} // namespace moec::runtime
