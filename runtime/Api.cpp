//===- Api.cpp - runtime.h on top of the classes ---------------------------===//
#include "runtime/Session.h"

#include <algorithm>

using namespace moec::runtime;

namespace {

Status nullArgument(const char *name) {
  return failure(MOEC_INVALID_ARGUMENT, "argument '%s' is null", name);
}

void describe(const TensorInfo &info, moec_tensor_info &result) {
  result = {};
  result.name = info.name.c_str();
  result.type = info.type;
  result.rank = info.rank();
  result.state = info.state;
  result.state_axis = info.stateAxis;
  for (int dim = 0; dim < info.rank(); ++dim) {
    result.sizes[dim] = info.dims[dim].size;
    const std::string &symbol = info.dims[dim].symbol;
    result.symbols[dim] = symbol.empty() ? nullptr : symbol.c_str();
  }
}

moec_status describe(const std::vector<TensorInfo> &tensors, int32_t index, const char *kind,
                     moec_tensor_info *info) {
  if (!info)
    return report(nullArgument("info"));
  if (index < 0 || index >= static_cast<int64_t>(tensors.size()))
    return report(failure(MOEC_INVALID_ARGUMENT, "there is no %s %d: the model has %zu", kind,
                          index, tensors.size()));
  describe(tensors[index], *info);
  return MOEC_OK;
}

int32_t find(const std::vector<TensorInfo> &tensors, const char *name) {
  auto found = std::find_if(tensors.begin(), tensors.end(),
                            [&](const TensorInfo &info) { return name && info.name == name; });
  return found == tensors.end() ? -1 : static_cast<int32_t>(found - tensors.begin());
}

template <typename Options> const Options &orDefault(const Options *options) {
  static constexpr Options defaults{};
  return options ? *options : defaults;
}

moec_status finish(const Status &status, std::shared_ptr<const Model> loaded, moec_model **model) {
  if (!status)
    *model = new moec_model{std::move(loaded)};
  return report(status);
}

moec_status finish(const Status &status, std::unique_ptr<Session> created, moec_session **session) {
  if (!status)
    *session = new moec_session{std::move(created)};
  return report(status);
}

} // namespace

moec_status moec_model_load(const char *path, const moec_model_options *options,
                            moec_model **model) {
  if (!path || !model)
    return report(nullArgument(path ? "model" : "path"));
  std::shared_ptr<const Model> loaded;
  Status status = Model::load(path, orDefault(options), loaded);
  return finish(status, std::move(loaded), model);
}

moec_status moec_model_from_module(const moec_module_v1 *module, const char *weights_path,
                                   const moec_model_options *options, moec_model **model) {
  if (!module || !model)
    return report(nullArgument(module ? "model" : "module"));
  std::shared_ptr<const Model> loaded;
  Status status = Model::link(*module, weights_path, orDefault(options), loaded);
  return finish(status, std::move(loaded), model);
}

void moec_model_release(moec_model *model) { delete model; }

int32_t moec_model_input_count(const moec_model *model) {
  return static_cast<int32_t>(model->shared->metadata().inputs.size());
}

int32_t moec_model_output_count(const moec_model *model) {
  return static_cast<int32_t>(model->shared->metadata().outputs.size());
}

moec_status moec_model_input(const moec_model *model, int32_t index, moec_tensor_info *info) {
  if (!model)
    return report(nullArgument("model"));
  return describe(model->shared->metadata().inputs, index, "input", info);
}

moec_status moec_model_output(const moec_model *model, int32_t index, moec_tensor_info *info) {
  if (!model)
    return report(nullArgument("model"));
  return describe(model->shared->metadata().outputs, index, "output", info);
}

int32_t moec_model_find_input(const moec_model *model, const char *name) {
  return find(model->shared->metadata().inputs, name);
}

int32_t moec_model_find_output(const moec_model *model, const char *name) {
  return find(model->shared->metadata().outputs, name);
}

const char *moec_model_metadata(const moec_model *model) {
  return model->shared->metadataText().c_str();
}

moec_status moec_session_create(moec_model *model, const moec_session_options *options,
                                moec_session **session) {
  if (!model || !session)
    return report(nullArgument(model ? "session" : "model"));
  std::unique_ptr<Session> created;
  Status status = Session::create(model->shared, orDefault(options), created);
  return finish(status, std::move(created), session);
}

void moec_session_release(moec_session *session) { delete session; }

moec_status moec_session_run(moec_session *session, const moec_tensor *inputs,
                             moec_tensor *outputs) {
  if (!session)
    return report(nullArgument("session"));
  return report(session->session->run(inputs, outputs));
}

moec_status moec_session_bind_output(moec_session *session, int32_t index, void *data,
                                     size_t bytes) {
  if (!session)
    return report(nullArgument("session"));
  return report(session->session->bindOutput(index, data, bytes));
}

int64_t moec_session_length(const moec_session *session) {
  return session->session->state().length();
}

moec_status moec_session_reset(moec_session *session) {
  if (!session)
    return report(nullArgument("session"));
  session->session->state().reset();
  return MOEC_OK;
}

moec_status moec_session_truncate(moec_session *session, int64_t length) {
  if (!session)
    return report(nullArgument("session"));
  return report(session->session->state().truncate(length));
}

moec_status moec_session_reorder(moec_session *session, const int64_t *rows, int64_t count) {
  if (!session)
    return report(nullArgument("session"));
  if (!rows)
    return report(nullArgument("rows"));
  return report(session->session->state().reorder(rows, count));
}

moec_status moec_session_read_state(const moec_session *session, int32_t index, void *data,
                                    size_t bytes) {
  if (!session)
    return report(nullArgument("session"));
  if (!data && bytes)
    return report(nullArgument("data"));
  return report(session->session->readState(index, data, bytes));
}

moec_status moec_session_fork(const moec_session *session, moec_session **copy) {
  if (!session)
    return report(nullArgument("session"));
  if (!copy)
    return report(nullArgument("copy"));
  std::unique_ptr<Session> created;
  Status status = session->session->fork(created);
  return finish(status, std::move(created), copy);
}

moec_status moec_session_memory(const moec_session *session, moec_memory_report *result) {
  if (!session)
    return report(nullArgument("session"));
  if (!result)
    return report(nullArgument("report"));
  *result = session->session->memory();
  return MOEC_OK;
}

moec_status moec_session_profile_start(moec_session *session) {
  if (!session)
    return report(nullArgument("session"));
  session->session->startProfile();
  return MOEC_OK;
}

moec_status moec_session_profile_write(moec_session *session, const char *path) {
  if (!session)
    return report(nullArgument("session"));
  if (!path)
    return report(nullArgument("path"));
  return report(session->session->writeProfile(path));
}
