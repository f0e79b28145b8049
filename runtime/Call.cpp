#include "runtime/Call.h"

#include <cstdlib>

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
  bool fits = buffer.data() && bytes <= static_cast<int64_t>(buffer.size());
  if (bytes >= 0 && (fits || buffer.allocate(bytes, Buffer::Pages::huge)))
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

/// A failed check in a kernel; the launch tells which node it belongs to.
Status kernelFailure(const Metadata &metadata, int32_t status, const Site *site) {
  size_t message = static_cast<size_t>(status) - 1;
  const char *text =
      message < metadata.messages.size() ? metadata.messages[message].c_str() : "a check failed";
  if (!site || site->name.empty())
    return failure(MOEC_EXECUTION_FAILED, "%s", text);
  return failure(MOEC_EXECUTION_FAILED, "node '%s': %s", site->name.c_str(), text);
}

void launch(moec_call *call, int32_t site, uint64_t *arguments, int64_t words, int64_t grid) {
  int32_t status = call->device.launch({site, arguments, words, grid}, call->workspace.trace);
  if (!status)
    return;
  call->error = kernelFailure(call->metadata(), status, &call->metadata().sites[site]);
  leave(call);
}

void fail(moec_call *call, int32_t message) {
  call->error = kernelFailure(call->metadata(), message + 1, nullptr);
  leave(call);
}

constexpr moec_services kServices = {arena, allocate, release, output, launch, fail};

/// Separate, so that no local variable lives across the jump.
__attribute__((noinline)) int32_t enter(moec_call *call, const moec_view *inputs) {
  if (setjmp(call->exit))
    return 0;
  return call->model.module().entry(call, &kServices, inputs, call->model.weights().slots());
}

} // namespace

namespace moec::runtime {

void *Heap::allocate(int64_t bytes) {
  constexpr int64_t kMost = INT64_MAX / 2;
  if (bytes > kMost)
    return nullptr;
  size_t size = sizeof(Block) + (bytes + sizeof(Block) - 1) / sizeof(Block) * sizeof(Block);
  auto *block = static_cast<Block *>(std::aligned_alloc(alignof(Block), size));
  if (!block)
    return nullptr;
  *block = {nullptr, blocks, bytes};
  if (blocks)
    blocks->previous = block;
  blocks = block;
  inUse += bytes;
  peak_ = std::max(peak_, inUse);
  return block + 1;
}

void Heap::release(void *memory) {
  if (!memory)
    return;
  Block *block = static_cast<Block *>(memory) - 1;
  (block->previous ? block->previous->next : blocks) = block->next;
  if (block->next)
    block->next->previous = block->previous;
  inUse -= block->bytes;
  std::free(block);
}

void Heap::clear() {
  while (blocks)
    release(blocks + 1);
}

Status execute(const Model &model, Device &device, Workspace &workspace, Outputs &outputs,
               State *state, const std::vector<moec_view> &inputs) {
  moec_call call{model, device, workspace, outputs, state, {}, {}};
  int32_t code = enter(&call, inputs.data());
  int32_t status = device.finish();
  workspace.heap.clear();
  if (call.error)
    return call.error;
  if (status)
    return kernelFailure(model.metadata(), status, nullptr);
  if (code)
    return failure(MOEC_EXECUTION_FAILED, "the module's entry returned %d", code);
  return {};
}

} // namespace moec::runtime
