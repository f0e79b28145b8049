#include "runtime/Session.h"

#include "runtime/Elements.h"
#include "runtime/SizeText.h"

#include <algorithm>

namespace moec::runtime {
namespace {

/// Rows to make room for when nobody says: few, since growing costs little.
constexpr int64_t kFirstCapacity = 64;

/// Of the terms whose sizes are known.
int64_t arenaBytes(const Metadata &metadata, const Symbols &symbols) {
  int64_t bytes = 0;
  for (const ArenaTerm &term : metadata.arena) {
    int64_t product = term.bytes;
    for (const std::string &name : term.times)
      if (int64_t size = evaluateSize(name, symbols);
          size < 0 || __builtin_mul_overflow(product, size, &product))
        product = 0;
    bytes += product;
  }
  return bytes;
}

Status checkOptions(const moec_session_options &options) {
  constexpr int kMostThreads = 1024;
  if (options.threads < 0 || options.threads > kMostThreads)
    return failure(MOEC_INVALID_ARGUMENT, "requires 0 <= threads <= %d, but threads is %d",
                   kMostThreads, options.threads);
  if (options.state_capacity < 0)
    return failure(MOEC_INVALID_ARGUMENT, "requires state_capacity >= 0, but it is %lld",
                   static_cast<long long>(options.state_capacity));
  return {};
}

} // namespace

Session::Session(std::shared_ptr<const Model> shared, const moec_session_options &options,
                 std::unique_ptr<Device> created)
    : model(std::move(shared)), options(options), device(std::move(created)),
      state_(model->metadata(), options.state_capacity ? options.state_capacity : kFirstCapacity,
             device->memory()),
      outputs_(model->metadata(), device->memory()), workspace(device->memory()),
      views(model->metadata().inputs.size()), unpackedInputs(views.size()) {
  for (size_t i = 0; i < views.size(); ++i)
    uploadedInputs.emplace_back(device->memory());
}

Status Session::create(std::shared_ptr<const Model> model, const moec_session_options &options,
                       std::unique_ptr<Session> &session) {
  if (Status error = checkOptions(options))
    return error;
  std::unique_ptr<Device> device;
  if (Status error = model->program().createDevice(options, device))
    return error;
  session.reset(new Session(std::move(model), options, std::move(device)));
  return {};
}

Status Session::run(const moec_tensor *inputs, moec_tensor *outputs) {
  if (!inputs && !model->metadata().inputs.empty())
    return failure(MOEC_INVALID_ARGUMENT, "argument 'inputs' is null");
  if (!outputs && !model->metadata().outputs.empty())
    return failure(MOEC_INVALID_ARGUMENT, "argument 'outputs' is null");
  if (Status error = bindInputs(inputs))
    return error;
  if (Status error = checkMemory())
    return error;
  outputs_.begin(inputs);
  int64_t begin = workspace.trace.active() ? traceClock() : 0;
  Status error =
      execute(*model, *device, workspace, outputs_, keepsState ? &state_ : nullptr, views);
  if (workspace.trace.active())
    workspace.trace.run(begin, traceClock());
  if (!error)
    error = collect(outputs);
  if (error && keepsState)
    state_.rollback();
  return error;
}

Status Session::checkMemory() const {
  const Memory &memory = device->memory();
  if (memory.isHost())
    return {};
  int64_t arena = arenaBytes(model->metadata(), symbols);
  arena = std::max<int64_t>(arena - static_cast<int64_t>(workspace.arena.size()), 0);
  int64_t state = keepsState ? state_.missingBytes(symbols) : 0;
  int64_t outputs = outputs_.missingBytes(symbols, keepsState);
  int64_t needed = arena + state + outputs;
  if (needed == 0 || needed <= memory.available())
    return {};
  return failure(MOEC_OUT_OF_MEMORY,
                 "it needs %lld bytes more of the device's memory (arena %lld, state %lld, outputs "
                 "%lld), of which %lld are free",
                 static_cast<long long>(needed), static_cast<long long>(arena),
                 static_cast<long long>(state), static_cast<long long>(outputs),
                 static_cast<long long>(memory.available()));
}

Status Session::bindOutput(int32_t index, void *data, size_t bytes) {
  size_t count = model->metadata().outputs.size();
  if (index < 0 || index >= static_cast<int64_t>(count))
    return failure(MOEC_INVALID_ARGUMENT, "there is no output %d: the model has %zu", index, count);
  outputs_.bind(index, data, bytes);
  return {};
}

Status Session::bindInputs(const moec_tensor *inputs) {
  const Metadata &metadata = model->metadata();
  const auto &states = metadata.states;
  auto absent = std::count_if(states.begin(), states.end(),
                              [&](auto &state) { return !inputs[state.input].type; });
  keepsState = absent > 0;
  symbols.clear();
  for (size_t i = 0; i < metadata.inputs.size(); ++i)
    if (metadata.inputs[i].state < 0 || absent < static_cast<int64_t>(states.size()))
      if (Status error = bindInput(static_cast<int32_t>(i), inputs[i]))
        return error;
  if (!keepsState)
    return {};
  for (const StateInfo &state : states)
    if (outputs_.isBound(state.output))
      return failure(MOEC_INVALID_ARGUMENT,
                     "output '%s' is state that the session keeps: it cannot be bound",
                     metadata.outputs[state.output].name.c_str());
  return state_.begin(symbols, views);
}

Status Session::bindInput(int32_t index, const moec_tensor &tensor) {
  const TensorInfo &info = model->metadata().inputs[index];
  if (Status error = checkInput(info, tensor, symbols))
    return error;
  moec_view &view = views[index];
  view.data = tensor.data;
  std::copy_n(tensor.sizes, MOEC_MAX_RANK, view.sizes);
  setStrides(tensor.sizes, tensor.rank, view.strides);
  int64_t count = elementCount(tensor.sizes, tensor.rank);
  if (isPacked(info.type)) {
    Buffer &buffer = unpackedInputs[index];
    if (!buffer.reserve(count))
      return failure(MOEC_OUT_OF_MEMORY, "no memory for %s", inputText(info).c_str());
    unpack(info.type, tensor.data, count, buffer.data());
    view.data = buffer.data();
  }
  return device->memory().isHost() ? Status() : upload(index, count * unpackedBytes(info.type));
}

Status Session::upload(int32_t index, int64_t bytes) {
  Buffer &buffer = uploadedInputs[index];
  if (!buffer.reserve(bytes))
    return failure(MOEC_OUT_OF_MEMORY, "no memory for %s",
                   inputText(model->metadata().inputs[index]).c_str());
  const void *from = std::exchange(views[index].data, buffer.data());
  return device->memory().copy(Memory::Direction::upload, {buffer.data(), from, bytes});
}

Status Session::collect(moec_tensor *outputs) {
  const Metadata &metadata = model->metadata();
  for (size_t i = 0; i < metadata.outputs.size(); ++i)
    if (!keepsState || metadata.outputs[i].state < 0)
      if (Status error = outputs_.finish(static_cast<int32_t>(i), outputs[i]))
        return error;
  return keepsState ? state_.commit(outputs) : Status();
}

Status Session::readState(int32_t index, void *data, size_t bytes) const {
  int32_t pair = state_.pairOfOutput(index);
  if (pair < 0)
    return failure(MOEC_INVALID_ARGUMENT, "there is no output %d that is state", index);
  return state_.read(pair, data, bytes);
}

Status Session::fork(std::unique_ptr<Session> &copy) const {
  std::unique_ptr<Session> created;
  if (Status error = create(model, options, created))
    return error;
  if (Status error = created->state_.copyFrom(state_))
    return error;
  copy = std::move(created);
  return {};
}

moec_memory_report Session::memory() const {
  moec_memory_report report{};
  report.weights = model->weights().bytes();
  report.state = state_.bytes();
  report.arena = static_cast<int64_t>(workspace.arena.size());
  report.heap_peak = workspace.heap.peak();
  report.outputs = outputs_.bytes();
  report.process_peak = peakProcessMemory();
  return report;
}

Status Session::writeProfile(const std::string &path) {
  workspace.trace.stop();
  return workspace.trace.write(path, model->metadata());
}

} // namespace moec::runtime
