#include "tools/moec/Session.h"

#include <algorithm>

namespace moec::tools {

LoadedModel::~LoadedModel() {
  moec_session_release(session);
  moec_model_release(model);
}

Status lastError(moec_status status) {
  return status ? Status(status, moec_last_error()) : Status();
}

int LoadedModel::load(const Command &command, const Arguments &arguments, const std::string &path,
                      int64_t stateRows) {
  constexpr int64_t kMostThreads = 1024;
  // Growing copies; but a limit that nobody means to reach reserves nothing.
  constexpr int64_t kMostRowsAtFirst = 8192;
  int64_t threads = 0;
  if (Status error = arguments.integer("--threads", 1, kMostThreads, threads))
    return misuse(command, error.message());
  std::string memory = arguments.text("--weights-memory").value_or("map");
  if (memory != "map" && memory != "huge")
    return misuse(command, "--weights-memory is map or huge, not '" + memory + "'");
  std::string graphs = arguments.text("--graphs").value_or("on");
  if (graphs != "on" && graphs != "off")
    return misuse(command, "--graphs is on or off, not '" + graphs + "'");
  std::optional<std::string> device = arguments.text("--device");
  moec_model_options options{};
  options.device = device ? device->c_str() : nullptr;
  options.weights_memory = memory == "huge" ? MOEC_WEIGHTS_HUGE : MOEC_WEIGHTS_MAP;
  options.verify_weights = arguments.has("--verify");
  moec_session_options sessionOptions{};
  sessionOptions.threads = static_cast<int32_t>(threads);
  sessionOptions.state_capacity = std::min(stateRows, kMostRowsAtFirst);
  sessionOptions.graphs = graphs == "on" ? 0 : -1;
  if (Status error = lastError(moec_model_load(path.c_str(), &options, &model)))
    return complain(error);
  if (Status error = lastError(moec_session_create(model, &sessionOptions, &session)))
    return complain(error);
  if (arguments.has("--trace"))
    moec_session_profile_start(session);
  return kDone;
}

Status LoadedModel::writeTrace(const Arguments &arguments) {
  std::optional<std::string> path = arguments.text("--trace");
  return path ? lastError(moec_session_profile_write(session, path->c_str())) : Status();
}

Status fetchState(moec_session *session, std::vector<moec_tensor> &outputs,
                  std::deque<std::vector<char>> &copies) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    moec_tensor &state = outputs[i];
    if (state.data)
      continue;
    size_t count = 1;
    for (int32_t dim = 0; dim < state.rank; ++dim)
      count *= state.sizes[dim];
    std::vector<char> &copy = copies.emplace_back(count * moec_element_bits(state.type) / 8);
    if (Status error = lastError(
            moec_session_read_state(session, static_cast<int32_t>(i), copy.data(), copy.size())))
      return error;
    state.data = copy.data();
    std::fill_n(state.strides, MOEC_MAX_RANK, 0);
  }
  return {};
}

std::string bytesText(int64_t bytes) {
  const char *units[] = {"bytes", "KB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  for (; value >= 1000 && unit < 4; ++unit)
    value /= 1000;
  char text[64];
  std::snprintf(text, sizeof text, "%.*f %s", unit ? 1 : 0, value, units[unit]);
  return text;
}

std::string memoryText(const moec_memory_report &memory) {
  return "weights " + bytesText(memory.weights) + ", state " + bytesText(memory.state) +
         ", arena " + bytesText(memory.arena) + ", heap " + bytesText(memory.heap_peak) +
         ", outputs " + bytesText(memory.outputs) + ", process peak " +
         bytesText(memory.process_peak);
}

std::string typeText(const moec_tensor_info &info) {
  std::string text = moec_element_name(info.type);
  text += " [";
  for (int dim = 0; dim < info.rank; ++dim) {
    text += dim ? ", " : "";
    if (info.sizes[dim] >= 0)
      text += std::to_string(info.sizes[dim]);
    else
      text += info.symbols[dim] ? info.symbols[dim] : "?";
  }
  return text + "]";
}

} // namespace moec::tools
