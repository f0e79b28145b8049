//===- Session.h - working memory, threads and state -----------------------===//
#pragma once

#include "runtime/Call.h"

namespace moec::runtime {

class Session {
public:
  static Status create(std::shared_ptr<const Model> model, const moec_session_options &options,
                       std::unique_ptr<Session> &session);

  Status run(const moec_tensor *inputs, moec_tensor *outputs);
  Status bindOutput(int32_t index, void *data, size_t bytes);
  State &state() { return state_; }
  const State &state() const { return state_; }
  /// Copies an output that is state to the host, row-major.
  Status readState(int32_t index, void *data, size_t bytes) const;
  Status fork(std::unique_ptr<Session> &copy) const;
  moec_memory_report memory() const;
  void startProfile() { workspace.trace.start(device->threads()); }
  Status writeProfile(const std::string &path);

private:
  Session(std::shared_ptr<const Model> model, const moec_session_options &options,
          std::unique_ptr<Device> device);
  Status bindInputs(const moec_tensor *inputs);
  Status bindInput(int32_t index, const moec_tensor &tensor);
  Status upload(int32_t index, int64_t bytes);
  Status collect(moec_tensor *outputs);
  /// Fails when the execution that has begun needs more of the device's memory
  /// than is free, as far as that is known before anything runs.
  Status checkMemory() const;

  std::shared_ptr<const Model> model;
  moec_session_options options;
  std::unique_ptr<Device> device;
  State state_;
  Outputs outputs_;
  Workspace workspace;
  /// Of the execution in progress.
  Symbols symbols;
  std::vector<moec_view> views;
  /// Elements of half a byte, one per byte; inputs in the device's memory.
  std::vector<Buffer> unpackedInputs, uploadedInputs;
  bool keepsState = false;
};

} // namespace moec::runtime

struct moec_session {
  std::unique_ptr<moec::runtime::Session> session;
};
