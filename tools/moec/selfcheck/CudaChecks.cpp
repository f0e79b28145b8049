//===- CudaChecks.cpp - what code for GPUs takes for granted ---------------===//
#include "tools/moec/selfcheck/CheckedGpu.h"
#include "tools/moec/selfcheck/CudaKernels.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <random>

namespace moec::tools {
namespace {

using runtime::Buffer;
using runtime::cuda::Function;
using runtime::cuda::LaunchQueue;
using runtime::cuda::LoadedModule;

std::string format(const char *form, auto... values) {
  char text[256];
  std::snprintf(text, sizeof text, form, values...);
  return text;
}

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void describe(const CheckedGpu &gpu, Report &report) {
  int version = 0;
  size_t free = 0, total = 0;
  gpu.gpu.enter();
  gpu.gpu.driver->version(&version);
  gpu.gpu.driver->memoryInfo(&free, &total);
  report.add({"driver",
              Verdict::pass,
              format("CUDA %d.%d", version / 1000, version % 1000 / 10),
              {{"version", static_cast<double>(version)}}});
  int processors = gpu.gpu.attribute(runtime::cuda::kMultiprocessors);
  report.add({"device",
              gpu.gpu.capability >= 80 ? Verdict::pass : Verdict::fail,
              format("%s, sm_%d, %d multiprocessors, %.1f of %.1f GB free", gpu.gpu.name,
                     gpu.gpu.capability, processors, free / 1e9, total / 1e9),
              {{"capability", static_cast<double>(gpu.gpu.capability)},
               {"multiprocessors", static_cast<double>(processors)},
               {"free_bytes", static_cast<double>(free)},
               {"total_bytes", static_cast<double>(total)}}});
}

//===--- Times -------------------------------------------------------------===//

Status measureReading(CheckedGpu &gpu, const LoadedModule &module, Report &report) {
  constexpr unsigned kThreads = 256;
  Function kernel = nullptr;
  if (Status error = module.find("read", 0, kernel))
    return error;
  // Far more than any cache holds; little where time means nothing.
  unsigned blocks = gpu.isVirtual() ? 2 : 8 * gpu.gpu.attribute(runtime::cuda::kMultiprocessors);
  size_t bytesOfPass = size_t(blocks) * kThreads * kReadBytes;
  uint64_t passes = gpu.isVirtual() ? 1 : (size_t{1} << 30) / bytesOfPass;
  size_t bytes = passes * bytesOfPass;
  Buffer data, out;
  for (Status error : {gpu.allocate(data, bytes), gpu.allocate(out, sizeof(uint32_t))})
    if (error)
      return error;
  const runtime::cuda::Driver &driver = *gpu.gpu.driver;
  if (Status error =
          driver.check(driver.memorySet(word(data), 0, bytes / sizeof(uint32_t), nullptr), "clear"))
    return error;
  auto read = [&] {
    return gpu.launch(kernel, blocks, kThreads, 1, {word(data), word(out), passes});
  };
  for (Status error : {read(), gpu.wait()})
    if (error)
      return error;
  const int repeats = gpu.isVirtual() ? 1 : 20;
  double begin = seconds();
  for (int i = 0; i < repeats; ++i)
    if (Status error = read())
      return error;
  if (Status error = gpu.wait())
    return error;
  double perSecond = repeats * (bytes / (seconds() - begin)) / 1e9;
  // Two transfers per clock.
  double peak = 2.0 * gpu.gpu.attribute(runtime::cuda::kMemoryClockKhz) * 1e3 *
                gpu.gpu.attribute(runtime::cuda::kMemoryBusBits) / 8 / 1e9;
  report.add({"memory bandwidth",
              gpu.isVirtual() ? Verdict::unproven : Verdict::measured,
              format("%.1f GB/s reading %.2f GB, of %.0f by clock and width", perSecond,
                     bytes / 1e9, peak),
              {{"gigabytes_per_second", perSecond}, {"peak_gigabytes_per_second", peak}}});
  return {};
}

/// Seconds for `count` empty kernels one after the other, waited for at the end.
Status timeLaunches(CheckedGpu &gpu, LaunchQueue &queue, Function kernel, int count, double &time) {
  uint64_t word = 0;
  double begin = seconds();
  for (int i = 0; i < count; ++i)
    if (Status error = queue.add({"selfcheck", kernel, 1, 32, 0, 1, &word, 1}))
      return error;
  for (Status error : {queue.flush(), gpu.wait()})
    if (error)
      return error;
  time = seconds() - begin;
  return {};
}

Status measureLaunches(CheckedGpu &gpu, const LoadedModule &module, Report &report) {
  Function kernel = nullptr;
  if (Status error = module.find("empty", 0, kernel))
    return error;
  const int count = gpu.isVirtual() ? 10 : 1000;
  LaunchQueue graphs(gpu.gpu, /*usesGraphs=*/true);
  double one = 0, many = 0, replayed = 0;
  // The first of all is slow; of a list, the second makes the graph.
  for (Status error : {timeLaunches(gpu, gpu.queue, kernel, count, many),
                       timeLaunches(gpu, gpu.queue, kernel, 1, one),
                       timeLaunches(gpu, gpu.queue, kernel, count, many),
                       timeLaunches(gpu, graphs, kernel, count, replayed),
                       timeLaunches(gpu, graphs, kernel, count, replayed),
                       timeLaunches(gpu, graphs, kernel, count, replayed)})
    if (error)
      return error;
  report.add({"launch latency",
              gpu.isVirtual() ? Verdict::unproven : Verdict::measured,
              format("%.2f us for one kernel and its end; of %d, %.2f us each, %.2f us in a graph",
                     one * 1e6, count, many / count * 1e6, replayed / count * 1e6),
              {{"microseconds", one * 1e6},
               {"microseconds_of_many", many / count * 1e6},
               {"microseconds_in_graph", replayed / count * 1e6}}});
  return {};
}

//===--- Results -----------------------------------------------------------===//

/// The upper half of f32's bits, rounded to even; for numbers.
uint16_t toBf16(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

uint32_t bitsOf(float value) { return std::bit_cast<uint32_t>(value); }

/// What the kernel `arithmetic` computes.
void expectArithmetic(const float *in, uint32_t *out) {
  float a = in[0], b = in[1], c = in[2];
  auto half = std::bit_cast<uint16_t>(static_cast<_Float16>(a));
  const uint32_t results[kArithmeticResults] = {
      bitsOf(std::fma(a, b, c)),
      bitsOf(a + b),
      bitsOf(a - b),
      bitsOf(a * b),
      bitsOf(a / b),
      bitsOf(std::sqrt(std::fabs(a))),
      half | uint32_t(toBf16(b)) << 16,
      bitsOf(static_cast<float>(std::fma(double(a), double(b), double(c)))),
  };
  std::copy_n(results, kArithmeticResults, out);
}

/// Numbers of every magnitude, zeros and subnormal ones included.
float drawNumber(std::mt19937 &random) {
  uint32_t bits = random();
  bool isSpecial = (bits >> 23 & 255) == 255;
  return std::bit_cast<float>(isSpecial ? bits & 0x807fffff : bits);
}

/// (a, b, c, -) of each element. In every second one they are near each other, so
/// that sums cancel.
std::vector<float> drawOperands(size_t count) {
  std::mt19937 random(1);
  std::vector<float> operands(4 * count);
  for (size_t i = 0; i < operands.size(); ++i) {
    bool isNearFirst = i % 4 && i / 4 % 2;
    float value = drawNumber(random);
    value = isNearFirst ? operands[i / 4 * 4] * (1 + value * 0x1p-126f) : value;
    operands[i] = std::isfinite(value) ? value : 1;
  }
  return operands;
}

/// A NaN has no sign or contents that anybody promises.
bool isSameResult(uint32_t bits, uint32_t expected) {
  auto isNan = [](uint32_t bits) { return (bits & 0x7fffffff) > 0x7f800000; };
  return bits == expected || (isNan(bits) && isNan(expected));
}

Status compareArithmetic(const std::vector<float> &in, const std::vector<uint32_t> &out) {
  constexpr const char *kNames[kArithmeticResults] = {
      "fma", "add", "sub", "mul", "div", "sqrt", "cvt to 16 bits", "f64 fma"};
  for (size_t i = 0; i < in.size() / 4; ++i) {
    const float *operands = &in[4 * i];
    const uint32_t *results = &out[kArithmeticResults * i];
    uint32_t expected[kArithmeticResults];
    expectArithmetic(operands, expected);
    for (int result = 0; result < kArithmeticResults; ++result)
      if (!isSameResult(results[result], expected[result]))
        return failure(MOEC_EXECUTION_FAILED, "%s of %a, %a, %a has the bits %08x, the CPU's %08x",
                       kNames[result], operands[0], operands[1], operands[2], results[result],
                       expected[result]);
  }
  return {};
}

Status checkArithmetic(CheckedGpu &gpu, const LoadedModule &module, Report &report) {
  constexpr unsigned kThreads = 256;
  Function kernel = nullptr;
  if (Status error = module.find("arithmetic", 0, kernel))
    return error;
  const size_t count = gpu.isVirtual() ? 10000 : 1000000;
  std::vector<float> in = drawOperands(count);
  std::vector<uint32_t> out(kArithmeticResults * count);
  Buffer from, to;
  for (Status error : {gpu.allocate(from, in.size() * sizeof(float)),
                       gpu.allocate(to, out.size() * sizeof(uint32_t))})
    if (error)
      return error;
  auto blocks = static_cast<unsigned>((count + kThreads - 1) / kThreads);
  for (Status error : {gpu.upload(from, in.data(), from.size()),
                       gpu.launch(kernel, blocks, kThreads, int64_t(count), {word(from), word(to)}),
                       gpu.download(out.data(), to, to.size()), compareArithmetic(in, out)})
    if (error)
      return error;
  report.add({"arithmetic",
              Verdict::pass,
              format("fma, add, sub, mul, div, sqrt and conversions give the CPU's bits for %zu "
                     "operands, subnormal ones included",
                     count),
              {{"compared", double(count) * kArithmeticResults}}});
  return {};
}

/// Steps whose factors change from round to round, by a queue.
Status runSteps(CheckedGpu &gpu, LaunchQueue &queue, Function kernel, int count,
                std::vector<float> &result) {
  constexpr int kRounds = 5, kSteps = 40;
  Buffer data;
  if (Status error = gpu.allocate(data, count * sizeof(float)))
    return error;
  std::vector<float> values(count, 0.5f);
  if (Status error = gpu.upload(data, values.data(), data.size()))
    return error;
  for (int round = 0; round < kRounds; ++round) {
    for (int step = 0; step < kSteps; ++step) {
      float factor = 1 / (1.5f + float(step) + float(step % 3 == 0) * float(round));
      uint64_t words[] = {word(data), bitsOf(factor)};
      int64_t grid = count - round;
      unsigned blocks = static_cast<unsigned>((grid + 31) / 32);
      if (Status error = queue.add({"selfcheck", kernel, blocks, 32, 0, grid, words, 2}))
        return error;
    }
    if (Status error = queue.flush())
      return error;
  }
  result.resize(count);
  return gpu.download(result.data(), data, data.size());
}

Status checkGraphs(CheckedGpu &gpu, const LoadedModule &module, Report &report) {
  constexpr int kCount = 1000;
  Function kernel = nullptr;
  if (Status error = module.find("step", 0, kernel))
    return error;
  LaunchQueue graphs(gpu.gpu, /*usesGraphs=*/true);
  std::vector<float> launched, replayed;
  for (Status error : {runSteps(gpu, gpu.queue, kernel, kCount, launched),
                       runSteps(gpu, graphs, kernel, kCount, replayed)})
    if (error)
      return error;
  // Every value is positive: equal numbers have equal bits.
  if (launched != replayed)
    return failure(MOEC_EXECUTION_FAILED, "a graph gives other results than its kernels");
  report.add({"graphs", Verdict::pass, "replayed with other arguments, they equal launches"});
  return {};
}

} // namespace

void checkCuda(Report &report) {
  CheckedGpu gpu;
  if (Status error = gpu.open())
    return report.fail("device", error);
  describe(gpu, report);
  LoadedModule module(gpu.gpu);
  if (Status error = gpu.load(generalPtx(), module))
    return report.fail("code", error);
  struct Check {
    const char *name;
    Status (*run)(CheckedGpu &, const LoadedModule &, Report &);
  };
  constexpr Check kChecks[] = {
      {"memory bandwidth", measureReading},
      {"launch latency", measureLaunches},
      {"arithmetic", checkArithmetic},
      {"graphs", checkGraphs},
  };
  for (const Check &check : kChecks)
    if (Status error = check.run(gpu, module, report))
      report.fail(check.name, error);
  checkTensorCores(gpu, module, report);
}

} // namespace moec::tools
