#include "runtime/Call.h"

#include <algorithm>

using namespace moec::runtime;

/// Services end an execution by a jump to `exit`: no frame between here and
/// there may hold anything to destroy. The error waits in the call.
struct moec_call {
  const Model &model;
  Device &device;
  Workspace &workspace;
  Outputs &outputs;
  State *state; /// null when the caller passes all pasts
  Status error;
  std::jmp_buf exit;

  const Metadata &metadata() const { return model.metadata(); }
};

namespace {

[[noreturn]] void leave(moec_call *call) { std::longjmp(call->exit, 1); }

void *arena(moec_call *call, int64_t bytes) {
  Buffer &buffer = call->workspace.arena;
  if (bytes >= 0 && buffer.reserve(bytes, Buffer::Pages::huge))
    return buffer.data();
  call->error = failure(MOEC_OUT_OF_MEMORY, "no memory for an arena of %lld bytes",
                        static_cast<long long>(bytes));
  leave(call);
}

void *allocate(moec_call *call, int64_t bytes) {
  if (void *memory = bytes >= 0 ? call->workspace.heap.allocate(bytes) : nullptr)
    return memory;
  call->error = failure(MOEC_OUT_OF_MEMORY, "no memory for %lld bytes of intermediates",
                        static_cast<long long>(bytes));
  leave(call);
}

void release(moec_call *call, void *memory) { call->workspace.heap.release(memory); }

void output(moec_call *call, int32_t index, const int64_t *sizes, moec_view *view) {
  int32_t pair = call->state ? call->state->pairOfOutput(index) : -1;
  call->error = pair >= 0 ? call->state->present(pair, sizes, *view)
                          : call->outputs.place(index, sizes, *view);
  if (call->error)
    leave(call);
}

void launch(moec_call *call, int32_t site, uint64_t *arguments, int64_t words, int64_t grid) {
  call->error = call->device.launch({site, arguments, words, grid}, call->workspace.trace);
  if (call->error)
    leave(call);
}

void fail(moec_call *call, int32_t message) {
  call->error = checkFailure(call->metadata(), message + 1, nullptr);
  leave(call);
}

void read(moec_call *call, const void *device, void *host, int64_t bytes) {
  // What kernels computed after a failed check is not to be used.
  call->error = call->device.finish();
  if (!call->error)
    call->error = call->device.memory().copy(Memory::Direction::download, {host, device, bytes});
  if (call->error)
    leave(call);
}

constexpr moec_services kServices = {arena, allocate, release, output, launch, fail, read};

/// Separate, so that no local variable lives across the jump.
__attribute__((noinline)) int32_t enter(moec_call *call, const moec_view *inputs) {
  if (setjmp(call->exit))
    return 0;
  return call->model.module().entry(call, &kServices, inputs, call->model.program().weights());
}

} // namespace

namespace moec::runtime {

/// A block that was released is given out again where kernels may still use
/// it: those that follow come after them.
void *Heap::allocate(int64_t bytes) {
  auto best = blocks.end();
  for (auto block = blocks.begin(); block != blocks.end(); ++block)
    if (!block->inUse && block->bytes >= bytes && block->bytes / 2 <= bytes &&
        (best == blocks.end() || block->bytes < best->bytes))
      best = block;
  if (best == blocks.end()) {
    void *data = memory.allocate(bytes, Memory::Pages::normal);
    if (!data)
      return nullptr;
    best = blocks.insert(blocks.end(), {data, bytes, false});
  }
  best->inUse = true;
  inUse += best->bytes;
  peak_ = std::max(peak_, inUse);
  return best->data;
}

void Heap::release(void *data) {
  auto block = std::find_if(blocks.begin(), blocks.end(),
                            [&](const Block &block) { return block.data == data; });
  if (block == blocks.end())
    return;
  inUse -= block->bytes;
  block->inUse = false;
  if (!memory.isHost())
    return;
  memory.release(block->data, block->bytes);
  blocks.erase(block);
}

void Heap::clear() {
  for (const Block &block : blocks)
    memory.release(block.data, block.bytes);
  blocks.clear();
  inUse = 0;
}

Status execute(const Model &model, Device &device, Workspace &workspace, Outputs &outputs,
               State *state, const std::vector<moec_view> &inputs) {
  moec_call call{model, device, workspace, outputs, state, {}, {}};
  int32_t code = enter(&call, inputs.data());
  Status failed = device.finish();
  workspace.heap.clear();
  if (call.error)
    return call.error;
  if (failed)
    return failed;
  if (code)
    return failure(MOEC_EXECUTION_FAILED, "the module's entry returned %d", code);
  return {};
}

} // namespace moec::runtime
