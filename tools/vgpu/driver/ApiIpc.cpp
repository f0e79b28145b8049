// Memory and events of other processes. What a process exports lies in files that have
// no name; a handle says how to open them among the process's descriptors.
#include "driver/Api.h"

#include <cstring>
#include <fcntl.h>
#include <unistd.h>

using namespace vgpu;

namespace {

/// The bytes of a handle.
struct Ticket {
  static constexpr uint64_t kMemory = 0x6d65'6d75'7067'7601, kEvent = 0x7665'6d75'7067'7601;

  uint64_t kind;
  int64_t process, descriptor;
  uint64_t file;  ///< its number: the descriptor may mean another by now
  int64_t device; ///< of memory, and where it is
  uint64_t offset, bytes;
};

Ticket ticketFor(uint64_t kind, const PageFile &file) {
  Ticket ticket{};
  ticket.kind = kind;
  ticket.process = getpid();
  ticket.descriptor = file.descriptor();
  ticket.file = file.number();
  return ticket;
}

template <class Handle> void writeTicket(const Ticket &ticket, Handle *handle) {
  static_assert(sizeof(Ticket) <= sizeof(Handle));
  std::memset(handle, 0, sizeof *handle);
  std::memcpy(handle, &ticket, sizeof ticket);
}

template <class Handle> Ticket readTicket(const Handle &handle) {
  Ticket ticket;
  std::memcpy(&ticket, &handle, sizeof ticket);
  return ticket;
}

/// Null where the process, or its file, is gone.
std::shared_ptr<const PageFile> open(const Ticket &ticket) {
  std::string path =
      "/proc/" + std::to_string(ticket.process) + "/fd/" + std::to_string(ticket.descriptor);
  int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0)
    return nullptr;
  std::shared_ptr<const PageFile> file = PageFile::adopt(descriptor);
  return file && file->number() == ticket.file ? file : nullptr;
}

/// Moves an allocation to a file while no task of the device touches memory.
class SharingTask : public Task {
public:
  SharingTask(Device &device, const Allocation &allocation)
      : device(device), allocation(allocation) {}

  State run() override {
    try {
      file = &device.mapped.share(allocation);
    } catch (const std::bad_alloc &) {
      file = nullptr;
    }
    return State::Done;
  }

  const PageFile *file = nullptr;

private:
  Device &device;
  Allocation allocation;
};

CUresult importMemory(Context &context, const Ticket &ticket, CUdeviceptr *address) {
  constexpr uint64_t kPage = PageFile::kPage;
  std::shared_ptr<const PageFile> file = open(ticket);
  if (!file || ticket.offset > file->bytes() || ticket.bytes > file->bytes() - ticket.offset)
    return CUDA_ERROR_INVALID_HANDLE;
  uint64_t inPage = ticket.offset % kPage;
  uint64_t mappedBytes = (inPage + ticket.bytes + kPage - 1) / kPage * kPage;
  Device &device = context.device;
  uint64_t pages = device.mapped.reserve(mappedBytes, kPage);
  if (!pages)
    return CUDA_ERROR_MAP_FAILED;
  device.mapped.map(pages, mappedBytes, std::move(file), ticket.offset - inPage);
  uint64_t begin = pages + inPage;
  device.memory.allowMapped(begin, begin + ticket.bytes, false);
  device.memory.markInitialized(begin, ticket.bytes); // who knows what others write
  context.imports[begin] = {pages, mappedBytes, ticket.file, ticket.offset, 1};
  *address = begin;
  return CUDA_SUCCESS;
}

} // namespace

VGPU_API CUresult cuIpcGetMemHandle(CUipcMemHandle *handle, CUdeviceptr address) {
  return inContext([&](Driver &, Context &context) -> CUresult {
    Device &device = context.device;
    std::optional<Allocation> found = device.memory.find(address);
    if (!handle || !found || !context.allocations.count(found->begin))
      return CUDA_ERROR_INVALID_VALUE;
    auto sharing = std::make_shared<SharingTask>(device, *found);
    device.engine.submit(sharing);
    device.engine.wait(sharing);
    if (!sharing->file)
      return CUDA_ERROR_OUT_OF_MEMORY;
    device.memory.markInitialized(found->begin, found->end - found->begin);
    Ticket ticket = ticketFor(Ticket::kMemory, *sharing->file);
    ticket.device = device.ordinal;
    ticket.offset = device.mapped.offsetOf(found->begin);
    ticket.bytes = found->end - found->begin;
    writeTicket(ticket, handle);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuIpcOpenMemHandle_v2(CUdeviceptr *address, CUipcMemHandle handle,
                                        unsigned flags) {
  return inContext([&](Driver &driver, Context &context) -> CUresult {
    Ticket ticket = readTicket(handle);
    if (!address || flags != CU_IPC_MEM_LAZY_ENABLE_PEER_ACCESS)
      return CUDA_ERROR_INVALID_VALUE;
    if (ticket.kind != Ticket::kMemory)
      return CUDA_ERROR_INVALID_HANDLE;
    if (ticket.process == getpid())
      return CUDA_ERROR_INVALID_CONTEXT; // it has the memory already
    if (ticket.device != context.device.ordinal) {
      driver.explain("memory of device " + std::to_string(ticket.device) +
                     " cannot be opened on device " + std::to_string(context.device.ordinal) +
                     ": peer access is not supported");
      return CUDA_ERROR_PEER_ACCESS_UNSUPPORTED;
    }
    for (auto &[begin, import] : context.imports)
      if (import.file == ticket.file && import.offset == ticket.offset) {
        ++import.uses;
        *address = begin;
        return CUDA_SUCCESS;
      }
    return importMemory(context, ticket, address);
  });
}

VGPU_API CUresult cuIpcCloseMemHandle(CUdeviceptr address) {
  return inContext([&](Driver &, Context &context) -> CUresult {
    auto found = context.imports.find(address);
    if (found == context.imports.end())
      return CUDA_ERROR_INVALID_VALUE;
    if (--found->second.uses)
      return CUDA_SUCCESS;
    context.synchronize();
    context.closeImport(address);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuIpcGetEventHandle(CUipcEventHandle *handle, CUevent event) {
  return inContext([&](Driver &, Context &context) -> CUresult {
    Event *found = context.events.find(event);
    if (!found)
      return CUDA_ERROR_INVALID_HANDLE;
    if (!handle || !found->shared)
      return CUDA_ERROR_INVALID_VALUE;
    writeTicket(ticketFor(Ticket::kEvent, found->shared->pages()), handle);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuIpcOpenEventHandle(CUevent *event, CUipcEventHandle handle) {
  return inContext([&](Driver &, Context &context) -> CUresult {
    Ticket ticket = readTicket(handle);
    if (!event)
      return CUDA_ERROR_INVALID_VALUE;
    std::shared_ptr<const PageFile> file = ticket.kind == Ticket::kEvent ? open(ticket) : nullptr;
    if (!file)
      return CUDA_ERROR_INVALID_HANDLE;
    constexpr unsigned kFlags = CU_EVENT_INTERPROCESS | CU_EVENT_DISABLE_TIMING;
    context.events.add(
        std::make_unique<Event>(Event{
            context, kFlags, std::make_shared<SharedEvent>(std::move(file)), nullptr, nullptr, {}}),
        event);
    return CUDA_SUCCESS;
  });
}
