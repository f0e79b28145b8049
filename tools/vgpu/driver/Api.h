#pragma once
// What the functions of the API share: locking, checks, errors.

#include "driver/Driver.h"
#include "driver/Image.h"
#include "driver/Tasks.h"
#include "driver/cuda_driver.h"

#define VGPU_API extern "C" __attribute__((visibility("default")))

namespace vgpu {

/// Runs body(driver) under the driver's lock; no exception leaves.
template <class Body> CUresult guarded(Body body) {
  try {
    Driver &driver = Driver::get();
    std::lock_guard lock(driver.mutex);
    if (!driver.isInitialized())
      return CUDA_ERROR_NOT_INITIALIZED;
    return body(driver);
  } catch (const ImageError &error) {
    Driver::get().explain(error.what());
    return error.result;
  } catch (const std::bad_alloc &) {
    return CUDA_ERROR_OUT_OF_MEMORY;
  } catch (const std::exception &error) {
    Driver::get().explain(error.what());
    return CUDA_ERROR_UNKNOWN;
  }
}

/// Runs body(driver, context) with the current context, unless it has failed.
template <class Body> CUresult inContext(Body body) {
  return guarded([&](Driver &driver) -> CUresult {
    std::vector<Context *> &stack = Driver::currentStack();
    if (stack.empty() || !stack.back())
      return CUDA_ERROR_INVALID_CONTEXT;
    if (!driver.contexts.find(stack.back()))
      return CUDA_ERROR_CONTEXT_IS_DESTROYED;
    if (CUresult fault = stack.back()->fault)
      return fault;
    return body(driver, *stack.back());
  });
}

/// A stream's object; null is the default stream, and null comes back for what
/// is no stream.
inline Stream *findStream(Context &context, CUstream stream) {
  if (!stream || stream == CU_STREAM_LEGACY || stream == CU_STREAM_PER_THREAD)
    return &context.defaultStream;
  return context.streams.find(stream);
}

/// Runs body(driver, context, stream).
template <class Body> CUresult inStream(CUstream handle, Body body) {
  return inContext([&](Driver &driver, Context &context) -> CUresult {
    Stream *stream = findStream(context, handle);
    return stream ? body(driver, context, *stream) : CUDA_ERROR_INVALID_HANDLE;
  });
}

/// Waits, without the lock, for tasks that `choose(context)` lists; prints what
/// kernels printed, and returns the context's fault.
template <class Choose> CUresult waitFor(Choose choose) {
  Context *context = nullptr;
  std::vector<std::shared_ptr<Task>> tasks;
  CUresult result = inContext([&](Driver &, Context &current) -> CUresult {
    context = &current;
    return choose(current, tasks);
  });
  if (result != CUDA_SUCCESS)
    return result;
  for (const auto &task : tasks)
    context->device.wait(task);
  Driver::get().console.flush();
  return context->fault;
}

} // namespace vgpu
