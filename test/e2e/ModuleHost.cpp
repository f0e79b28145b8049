#include "test/e2e/ModuleHost.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include <csetjmp>
#include <cstdlib>
#include <memory>

using namespace llvm;
using moec::e2e::HostTensor;

namespace {

struct Free {
  void operator()(void *memory) const { std::free(memory); }
};
using Memory = std::unique_ptr<void, Free>;

Memory allocateAligned(int64_t bytes) {
  return Memory(std::aligned_alloc(64, alignTo(std::max<int64_t>(bytes, 1), 64)));
}

} // namespace

struct moec_call {
  const moec_module_v1 *module;
  std::vector<int64_t> kernelOfSite;
  std::vector<HostTensor> outputs;
  std::vector<Memory> memory;
  int32_t failed = -1;
  std::jmp_buf exit;
};

namespace {

void *grow(moec_call *call, int64_t bytes) {
  return call->memory.emplace_back(allocateAligned(bytes)).get();
}

void release(moec_call *call, void *memory) {
  erase_if(call->memory, [&](const Memory &held) { return held.get() == memory; });
}

moec_view viewOf(HostTensor &tensor) {
  moec_view view{tensor.bytes.data(), {}, {}};
  int64_t stride = 1;
  for (size_t dim = tensor.dims.size(); dim-- > 0; stride *= tensor.dims[dim]) {
    view.sizes[dim] = tensor.dims[dim];
    view.strides[dim] = stride;
  }
  return view;
}

void output(moec_call *call, int32_t index, const int64_t *sizes, moec_view *view) {
  HostTensor &tensor = call->outputs[index];
  tensor.dims.assign(sizes, sizes + tensor.dims.size());
  tensor.bytes.resize(tensor.size() * moec::e2e::elementBytes(tensor.type));
  *view = viewOf(tensor);
}

[[noreturn]] void fail(moec_call *call, int32_t message) {
  call->failed = message;
  std::longjmp(call->exit, 1);
}

void launch(moec_call *call, int32_t site, uint64_t *arguments, int64_t, int64_t grid) {
  int32_t status = 0;
  arguments[0] = reinterpret_cast<uint64_t>(&status);
  moec_kernel kernel = call->module->kernels[call->kernelOfSite[site]];
  int64_t middle = grid / 3;
  kernel(arguments, middle, grid);
  if (middle)
    kernel(arguments, 0, middle);
  if (status)
    fail(call, status - 1);
}

constexpr moec_services kServices = {grow, grow, release, output, launch, fail, nullptr};

/// Calls the entry. Apart, since a frame that is jumped back to must not own
/// objects.
bool execute(moec_call &call, const moec_view *inputs, void *const *weights) {
  if (setjmp(call.exit))
    return false;
  return call.module->entry(&call, &kServices, inputs, weights) == 0;
}

Expected<std::vector<Memory>> loadWeights(const moec::CompiledModel &model,
                                          const json::Object &metadata) {
  std::vector<Memory> weights;
  const json::Object *description = metadata.getObject("weights");
  const json::Array *slots = description ? description->getArray("slots") : nullptr;
  if (!slots || slots->empty())
    return weights;
  auto file = MemoryBuffer::getFile(model.weights(), /*IsText=*/false,
                                    /*RequiresNullTerminator=*/false);
  if (std::error_code error = file.getError())
    return errorCodeToError(error);
  for (const json::Value &slot : *slots) {
    int64_t offset = *slot.getAsObject()->getInteger("offset");
    int64_t bytes = *slot.getAsObject()->getInteger("bytes");
    weights.push_back(allocateAligned(bytes));
    std::memcpy(weights.back().get(), (*file)->getBufferStart() + offset, bytes);
  }
  return weights;
}

} // namespace

Expected<std::vector<HostTensor>> moec::e2e::runModule(const CompiledModel &model,
                                                       std::vector<HostTensor> &inputs) {
  Expected<json::Value> parsed = json::parse(model.module()->metadata);
  if (!parsed)
    return parsed.takeError();
  const json::Object &metadata = *parsed->getAsObject();
  if (metadata.getArray("inputs")->size() != inputs.size())
    return createStringError("the module has %zu inputs, but the case %zu",
                             metadata.getArray("inputs")->size(), inputs.size());
  moec_call call{model.module(), {}, {}, {}, -1, {}};
  for (const json::Value &site : *metadata.getArray("sites"))
    call.kernelOfSite.push_back(*site.getAsObject()->getInteger("kernel"));
  for (const json::Value &description : *metadata.getArray("outputs")) {
    HostTensor &tensor = call.outputs.emplace_back();
    tensor.type = *description.getAsObject()->getInteger("type");
    tensor.dims.resize(description.getAsObject()->getArray("dims")->size());
    if (!elementBytes(tensor.type))
      return createStringError("an output has the element type %d", tensor.type);
  }
  Expected<std::vector<Memory>> weights = loadWeights(model, metadata);
  if (!weights)
    return weights.takeError();
  SmallVector<void *> slots;
  for (Memory &memory : *weights)
    slots.push_back(memory.get());
  SmallVector<moec_view> views;
  for (HostTensor &input : inputs)
    views.push_back(viewOf(input));
  if (!execute(call, views.data(), slots.data())) {
    StringRef message = call.failed < 0
                            ? "the entry failed"
                            : *(*metadata.getArray("messages"))[call.failed].getAsString();
    return createStringError("check failed: " + message);
  }
  return std::move(call.outputs);
}
