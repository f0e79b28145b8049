// Streams and events.
#include "driver/Api.h"
#include "driver/Graph.h"
#include "driver/Submit.h"

#include <thread>

using namespace vgpu;

namespace {

template <class Body> CUresult withEvent(CUevent handle, Body body) {
  return inContext([&](Driver &driver, Context &context) -> CUresult {
    Event *event = context.events.find(handle);
    return event ? body(driver, context, *event) : CUDA_ERROR_INVALID_HANDLE;
  });
}

/// Whether another process recorded the event last.
bool isOfOther(const Event &event) {
  return event.shared && event.shared->latest() != (event.marker ? event.marker->record : 0);
}

template <class T> T readValue(uint64_t address) {
  return __atomic_load_n(reinterpret_cast<const T *>(address), __ATOMIC_ACQUIRE);
}

template <class T> bool holds(uint64_t address, T wanted, unsigned condition) {
  T value = readValue<T>(address);
  switch (condition) {
  case CU_STREAM_WAIT_VALUE_GEQ:
    return static_cast<std::make_signed_t<T>>(value - wanted) >= 0;
  case CU_STREAM_WAIT_VALUE_EQ:
    return value == wanted;
  case CU_STREAM_WAIT_VALUE_AND:
    return (value & wanted) != 0;
  default:
    return static_cast<T>(~(value | wanted)) != 0;
  }
}

template <class T>
CUresult waitValue(CUstream handle, CUdeviceptr address, T value, unsigned flags) {
  return inStream(handle, [&](Driver &, Context &context, Stream &stream) -> CUresult {
    if (flags > CU_STREAM_WAIT_VALUE_NOR || address % sizeof(T) ||
        !context.device.memory.find(address))
      return CUDA_ERROR_INVALID_VALUE;
    if (stream.capture)
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    context.submit(stream, std::make_shared<ConditionTask>(
                               context, [=] { return holds<T>(address, value, flags); }));
    return CUDA_SUCCESS;
  });
}

template <class T>
CUresult writeValue(CUstream handle, CUdeviceptr address, T value, unsigned flags) {
  return inStream(handle, [&](Driver &driver, Context &context, Stream &stream) -> CUresult {
    if (flags > 1 || address % sizeof(T) || !context.device.memory.find(address))
      return CUDA_ERROR_INVALID_VALUE;
    if (stream.capture)
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    DeviceMemory &memory = context.device.memory;
    return submitAction(driver, context, stream, CU_GRAPH_NODE_TYPE_EMPTY, [=, &memory] {
      __atomic_store_n(reinterpret_cast<T *>(address), value, __ATOMIC_RELEASE);
      memory.markInitialized(address, sizeof(T));
    });
  });
}

} // namespace

VGPU_API CUresult cuStreamCreateWithPriority(CUstream *stream, unsigned flags, int priority) {
  return inContext([&](Driver &, Context &context) -> CUresult {
    if (!stream || flags > CU_STREAM_NON_BLOCKING)
      return CUDA_ERROR_INVALID_VALUE;
    auto created = std::make_unique<Stream>(context);
    created->isBlocking = flags != CU_STREAM_NON_BLOCKING;
    created->priority = std::min(0, std::max(-5, priority));
    context.streams.add(std::move(created), stream);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuStreamCreate(CUstream *stream, unsigned flags) {
  return cuStreamCreateWithPriority(stream, flags, 0);
}

VGPU_API CUresult cuStreamDestroy_v2(CUstream handle) {
  return inContext([&](Driver &, Context &context) -> CUresult {
    Stream *stream = context.streams.find(handle);
    if (!stream)
      return CUDA_ERROR_INVALID_HANDLE;
    context.device.wait(stream->last);
    context.streams.remove(stream);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuStreamGetPriority(CUstream handle, int *priority) {
  return inStream(handle, [&](Driver &, Context &, Stream &stream) -> CUresult {
    if (!priority)
      return CUDA_ERROR_INVALID_VALUE;
    *priority = stream.priority;
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuStreamGetFlags(CUstream handle, unsigned *flags) {
  return inStream(handle, [&](Driver &, Context &, Stream &stream) -> CUresult {
    if (!flags)
      return CUDA_ERROR_INVALID_VALUE;
    *flags = stream.isBlocking ? CU_STREAM_DEFAULT : CU_STREAM_NON_BLOCKING;
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuStreamGetCtx(CUstream handle, CUcontext *context) {
  return inStream(handle, [&](Driver &, Context &, Stream &stream) -> CUresult {
    if (!context)
      return CUDA_ERROR_INVALID_VALUE;
    *context = reinterpret_cast<CUcontext>(&stream.context);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuStreamQuery(CUstream handle) {
  return inStream(handle, [&](Driver &, Context &, Stream &stream) -> CUresult {
    if (stream.capture)
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    return stream.context.device.hasSeen(stream.last) ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
  });
}

VGPU_API CUresult cuStreamSynchronize(CUstream handle) {
  return waitFor([&](Context &context, std::vector<std::shared_ptr<Task>> &tasks) -> CUresult {
    Stream *stream = findStream(context, handle);
    if (!stream)
      return CUDA_ERROR_INVALID_HANDLE;
    if (stream->capture)
      return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    tasks = {stream->last};
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuStreamWaitEvent(CUstream handle, CUevent event, unsigned flags) {
  return inStream(handle, [&](Driver &, Context &context, Stream &stream) -> CUresult {
    Event *found = context.events.find(event);
    if (!found)
      return CUDA_ERROR_INVALID_HANDLE;
    if (flags)
      return CUDA_ERROR_INVALID_VALUE;
    if (found->capture)
      return joinCapture(stream, *found);
    if (stream.capture)
      return found->marker ? CUDA_ERROR_STREAM_CAPTURE_ISOLATION : CUDA_SUCCESS;
    if (isOfOther(*found)) {
      context.submit(stream,
                     std::make_shared<ConditionTask>(
                         context, [shared = found->shared, record = found->shared->latest()] {
                           return shared->isComplete(record);
                         }));
      return CUDA_SUCCESS;
    }
    if (!found->marker)
      return CUDA_SUCCESS;
    auto waiting = std::make_shared<ActionTask>(context, [] {});
    waiting->dependencies.push_back(found->marker);
    context.submit(stream, std::move(waiting));
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuStreamWaitValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value,
                                         unsigned flags) {
  return waitValue<uint32_t>(stream, address, value, flags);
}
VGPU_API CUresult cuStreamWaitValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value,
                                         unsigned flags) {
  return waitValue<uint64_t>(stream, address, value, flags);
}
VGPU_API CUresult cuStreamWriteValue32_v2(CUstream stream, CUdeviceptr address, cuuint32_t value,
                                          unsigned flags) {
  return writeValue<uint32_t>(stream, address, value, flags);
}
VGPU_API CUresult cuStreamWriteValue64_v2(CUstream stream, CUdeviceptr address, cuuint64_t value,
                                          unsigned flags) {
  return writeValue<uint64_t>(stream, address, value, flags);
}

VGPU_API CUresult cuEventCreate(CUevent *event, unsigned flags) {
  return inContext([&](Driver &, Context &context) -> CUresult {
    if (!event || flags > 7)
      return CUDA_ERROR_INVALID_VALUE;
    auto created = std::make_unique<Event>(Event{context, flags, nullptr, nullptr, nullptr, {}});
    if (flags & CU_EVENT_INTERPROCESS) {
      if (!(flags & CU_EVENT_DISABLE_TIMING))
        return CUDA_ERROR_INVALID_VALUE;
      created->shared = std::make_shared<SharedEvent>();
    }
    context.events.add(std::move(created), event);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuEventDestroy_v2(CUevent handle) {
  return withEvent(handle, [](Driver &, Context &context, Event &event) -> CUresult {
    context.events.remove(&event);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuEventRecordWithFlags(CUevent handle, CUstream streamHandle, unsigned flags) {
  return inStream(streamHandle, [&](Driver &, Context &context, Stream &stream) -> CUresult {
    Event *event = context.events.find(handle);
    if (!event)
      return CUDA_ERROR_INVALID_HANDLE;
    if (flags)
      return CUDA_ERROR_NOT_SUPPORTED;
    if (stream.capture) {
      event->capture = stream.capture;
      event->captured = stream.capture->frontier[&stream];
      return CUDA_SUCCESS;
    }
    event->capture.reset();
    event->marker = std::make_shared<Marker>();
    if (event->shared) {
      event->marker->shared = event->shared;
      event->marker->record = event->shared->record();
    }
    context.submit(stream, event->marker);
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuEventRecord(CUevent event, CUstream stream) {
  return cuEventRecordWithFlags(event, stream, 0);
}

VGPU_API CUresult cuEventQuery(CUevent handle) {
  return withEvent(handle, [](Driver &, Context &, Event &event) -> CUresult {
    if (event.capture)
      return CUDA_ERROR_CAPTURED_EVENT;
    if (isOfOther(event))
      return event.shared->isComplete(event.shared->latest()) ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
    return event.context.device.hasSeen(event.marker) ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY;
  });
}

VGPU_API CUresult cuEventSynchronize(CUevent handle) {
  std::shared_ptr<SharedEvent> shared;
  uint64_t record = 0;
  CUresult result =
      waitFor([&](Context &context, std::vector<std::shared_ptr<Task>> &tasks) -> CUresult {
        Event *event = context.events.find(handle);
        if (!event)
          return CUDA_ERROR_INVALID_HANDLE;
        if (event->capture)
          return CUDA_ERROR_CAPTURED_EVENT;
        if (isOfOther(*event))
          shared = event->shared, record = shared->latest();
        else
          tasks = {event->marker};
        return CUDA_SUCCESS;
      });
  while (result == CUDA_SUCCESS && shared && !shared->isComplete(record))
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  return result;
}

VGPU_API CUresult cuEventElapsedTime_v2(float *milliseconds, CUevent startHandle,
                                        CUevent endHandle) {
  return inContext([&](Driver &, Context &context) -> CUresult {
    Event *start = context.events.find(startHandle), *end = context.events.find(endHandle);
    if (!start || !end || !start->marker || !end->marker)
      return CUDA_ERROR_INVALID_HANDLE;
    if (!milliseconds)
      return CUDA_ERROR_INVALID_VALUE;
    if ((start->flags | end->flags) & CU_EVENT_DISABLE_TIMING)
      return CUDA_ERROR_INVALID_HANDLE;
    if (!start->marker->isDone() || !end->marker->isDone())
      return CUDA_ERROR_NOT_READY;
    *milliseconds =
        std::chrono::duration<float, std::milli>(end->marker->time - start->marker->time).count();
    return CUDA_SUCCESS;
  });
}

VGPU_API CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end) {
  return cuEventElapsedTime_v2(milliseconds, start, end);
}
