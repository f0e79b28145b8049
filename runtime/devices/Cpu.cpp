//===- Cpu.cpp - kernels are functions, run by a pool of threads -----------===//
#include "runtime/ThreadPool.h"
#include "runtime/devices/Device.h"

#include <algorithm>

namespace moec::runtime {
namespace {

class CpuDevice final : public Device {
public:
  explicit CpuDevice(const Model &model) : model(model) {}

  Status start(const moec_session_options &options) {
    int threads = options.threads;
    if (threads == 0)
      threads = std::max(static_cast<int>(allowedCores().size()), 1);
    return pool.start(threads, options.pin_threads == 0);
  }

  int threads() const override { return pool.threads(); }
  Memory &memory() override { return hostMemory(); }

  Status launch(const Launch &launch, Trace &trace) override {
    launch.arguments[0] = reinterpret_cast<uint64_t>(&status);
    const Site &site = model.metadata().sites[launch.site];
    Job job{model.module().kernels[site.kernel], launch.arguments, launch.site,
            trace.active() ? &trace : nullptr};
    if (job.trace && site.experts && site.offsetsWord < launch.words)
      trace.tokensPerExpert(launch.site,
                            reinterpret_cast<const int32_t *>(launch.arguments[site.offsetsWord]),
                            site.experts);
    pool.run(launch.grid, work, &job);
    return status ? checkFailure(model.metadata(), status, &site) : Status();
  }

  Status finish() override {
    status = 0;
    return {};
  }

private:
  struct Job {
    moec_kernel kernel;
    const uint64_t *arguments;
    int32_t site;
    Trace *trace;
  };

  static void work(void *context, int thread, Chunks &chunks) {
    auto *job = static_cast<Job *>(context);
    int64_t begin, end;
    if (!chunks.next(begin, end))
      return;
    int64_t start = job->trace ? traceClock() : 0;
    do
      job->kernel(job->arguments, begin, end);
    while (chunks.next(begin, end));
    if (job->trace)
      job->trace->kernel(thread, job->site, start, traceClock());
  }

  const Model &model;
  ThreadPool pool;
  /// Set by kernels, from any thread, when a check fails.
  int32_t status = 0;
};

class CpuProgram final : public Program {
public:
  explicit CpuProgram(const Model &model) : model(model) {}

  void *const *weights() const override { return model.weights().slots(); }

  Status createDevice(const moec_session_options &options,
                      std::unique_ptr<Device> &device) const override {
    auto cpu = std::make_unique<CpuDevice>(model);
    if (Status error = cpu->start(options))
      return error;
    device = std::move(cpu);
    return {};
  }

private:
  const Model &model;
};

} // namespace

Status loadCpuProgram(const Model &model, std::string_view, Weights &,
                      std::unique_ptr<Program> &program) {
  if (model.module().kernel_count && !model.module().kernels)
    return failure(MOEC_DAMAGED, "the module lacks its kernels");
  program = std::make_unique<CpuProgram>(model);
  return {};
}

} // namespace moec::runtime
