//===- Session.h - a loaded model and a session of it ----------------------===//
#pragma once

#include "tools/moec/Command.h"

#include <deque>

namespace moec::tools {

/// Options of every sub-command that executes an artifact.
#define MOEC_SESSION_OPTIONS                                                                       \
  {"--device", "NAME", "cpu or cuda; default: what the artifact was compiled for"},                \
      {"--threads", "N", "default: the cores this process may use"},                               \
      {"--weights-memory", "map|huge", "map the weights file, or read it into huge pages"},        \
      {"--graphs", "on|off", "of a GPU: replay steps that repeat as graphs (default on)"},         \
      {"--verify", nullptr, "compare every weight with its digest"},                               \
      {"--trace", "FILE.json", "write a profile for chrome://tracing or Perfetto"}

/// A model and a session, released at the end.
class LoadedModel {
public:
  LoadedModel() = default;
  LoadedModel(const LoadedModel &) = delete;
  LoadedModel &operator=(const LoadedModel &) = delete;
  ~LoadedModel();

  /// Reads the options; a bad value is misuse, anything else bad input.
  /// `stateRows` is how long the state will become, as far as that is known.
  /// Returns kDone, or an exit status after complaining.
  int load(const Command &command, const Arguments &arguments, const std::string &path,
           int64_t stateRows = 0);
  /// Writes what --trace asked for.
  Status writeTrace(const Arguments &arguments);

  moec_model *model = nullptr;
  moec_session *session = nullptr;
};

/// The last error of the C API.
Status lastError(moec_status status);

/// Copies state that is in a device's memory to `copies`, and points its tensors
/// there, row-major.
Status fetchState(moec_session *session, std::vector<moec_tensor> &outputs,
                  std::deque<std::vector<char>> &copies);

/// "1.5 MB"
std::string bytesText(int64_t bytes);
std::string memoryText(const moec_memory_report &memory);
/// "float32 [batch, 4]"
std::string typeText(const moec_tensor_info &info);

} // namespace moec::tools
