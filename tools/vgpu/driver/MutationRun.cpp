#include "driver/MutationRun.h"

#include "driver/Tasks.h"
#include "exec/Selectors.h"
#include "mutate/InstructionText.h"
#include "program/Decoder.h"
#include "ptx/Lexer.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <csignal>
#include <cstring>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

namespace vgpu {
namespace {

constexpr uint64_t kSeeds[] = {0, 1, 2};
/// Later ones are not examined.
constexpr int kMostLaunches = 6;

class Hash {
public:
  void add(uint64_t word) { value = std::rotl((value ^ word) * 0x9e37'79b9'7f4a'7c15, 29); }
  void add(std::string_view text) { add(std::hash<std::string_view>{}(text)); }
  void add(const ptx::Operand &operand) {
    for (int64_t part : {int64_t(operand.kind), int64_t(operand.isNegated), int64_t(operand.index),
                         int64_t(operand.second), int64_t(operand.bits), operand.offset})
      add(static_cast<uint64_t>(part));
    add(operand.name);
    for (const ptx::Operand &element : operand.elements)
      add(element);
  }
  uint64_t get() const { return value; }

private:
  uint64_t value = 1;
};

uint64_t hashOf(const ptx::Function &kernel) {
  Hash hash;
  hash.add(kernel.name);
  for (const ptx::Instruction &instruction : kernel.instructions) {
    hash.add(instruction.text());
    hash.add(static_cast<uint64_t>(instruction.guard));
    for (const ptx::Operand &operand : instruction.operands)
      hash.add(operand);
  }
  for (int label : kernel.labels)
    hash.add(static_cast<uint64_t>(label));
  return hash.get();
}

/// All ones in the bytes that a byte of the shadow says are written.
uint64_t maskOf(uint8_t shadow) {
  uint64_t mask = 0;
  for (int byte = 0; byte < 8; ++byte)
    if (shadow >> byte & 1)
      mask |= uint64_t{0xff} << 8 * byte;
  return mask;
}

/// What has been written in the allocations, and where. Kernels' own heaps are
/// left out: addresses in them depend on the schedule.
uint64_t digestOf(const DeviceMemory &memory) {
  Hash hash;
  for (const Allocation &allocation : memory.allocations()) {
    if (allocation.kind == MemoryKind::Heap || !memory.inArena(allocation.begin))
      continue;
    hash.add(allocation.begin);
    for (uint64_t address = allocation.begin; address < allocation.end; address += 8) {
      uint8_t shadow = *memory.shadow(address);
      if (!shadow)
        continue;
      uint64_t word;
      std::memcpy(&word, reinterpret_cast<const void *>(address), sizeof word);
      hash.add(word & (shadow == 0xff ? ~uint64_t{0} : maskOf(shadow)));
      hash.add(shadow);
    }
  }
  return hash.get();
}

/// A crash is the parent's to tell, whatever the program does about its own.
void leaveSignalsAlone() {
  for (int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT})
    std::signal(number, SIG_DFL);
}

void limitTime(double seconds) {
  itimerval timer{};
  timer.it_value.tv_sec = static_cast<time_t>(seconds);
  timer.it_value.tv_usec = static_cast<suseconds_t>((seconds - std::floor(seconds)) * 1e6);
  setitimer(ITIMER_PROF, &timer, nullptr);
}

double secondsOf(const rusage &usage) {
  auto seconds = [](const timeval &time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

} // namespace

std::string_view MutationRun::nameOf(Fate fate) {
  constexpr std::string_view kNames[] = {"survived", "same",    "wrong-result", "found",
                                         "hang",     "invalid", "crash"};
  return kNames[static_cast<int>(fate)];
}

/// Runs the mutant on this thread, as the engine would.
void MutationRun::runHere(Context &context, const Stream &stream, const Kernel &kernel,
                          Launch launch, const ptx::Function &source, uint64_t seed,
                          Outcome &outcome) {
  Driver &driver = Driver::get();
  driver.findings.take();
  try {
    launch.program = decode(*kernel.module.source, source, kernel.module.variables, selectors());
  } catch (const ptx::SyntaxError &error) {
    std::snprintf(outcome.message, sizeof outcome.message, "%s", error.what());
    return;
  }
  outcome.isValid = true;
  TaskOrder order = context.orderOf(stream, Marker());
  order.follow(stream.order);
  ++order.sequence;
  try {
    Grid grid(context.device.machine, std::make_shared<Launch>(std::move(launch)), seed, order);
    Grid::State state;
    do
      state = grid.step();
    while (state == Grid::State::Running);
    outcome.hasErrors = state == Grid::State::Stalled;
  } catch (const Fault &) {
    outcome.hasErrors = true;
  }
  std::vector<Finding> findings = driver.findings.all();
  outcome.hasErrors |= driver.findings.hasErrors();
  outcome.isClean = findings.empty() && !outcome.hasErrors;
  if (!findings.empty())
    std::snprintf(outcome.message, sizeof outcome.message, "%s", findings[0].message.c_str());
  outcome.digest = digestOf(context.device.memory);
  outcome.isDone = true;
}

MutationRun::Outcome MutationRun::run(Context &context, const Stream &stream, const Kernel &kernel,
                                      const Launch &launch, const ptx::Function &source,
                                      uint64_t seed, double limitSeconds) {
  void *shared =
      mmap(nullptr, sizeof(Outcome), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED)
    throw std::bad_alloc();
  auto *told = new (shared) Outcome;
  pid_t child = fork();
  if (child == 0) {
    leaveSignalsAlone();
    limitTime(limitSeconds);
    runHere(context, stream, kernel, launch, source, seed, *told);
    _exit(0);
  }
  int status = 0;
  rusage usage{};
  wait4(child, &status, 0, &usage);
  Outcome outcome = *told;
  munmap(shared, sizeof(Outcome));
  outcome.cpuSeconds = secondsOf(usage);
  outcome.isLate = WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF;
  return outcome;
}

MutationRun::Examined &MutationRun::find(const Kernel &kernel) {
  uint64_t hash = hashOf(kernel.source);
  std::unique_ptr<Examined> &known = kernels[hash];
  if (known)
    return *known;
  known = std::make_unique<Examined>();
  known->name = kernel.source.name;
  std::map<std::string, int> alike;
  for (Mutant &mutant : mutantsOf(*kernel.module.source, kernel.source)) {
    Tried tried{std::move(mutant), "", "", 0, 0};
    const Mutant &made = tried.mutant;
    tried.before = made.before(kernel.source);
    tried.after = made.after(kernel.source);
    tried.line = kernel.source.instructions[made.index].line;
    tried.number = ++alike[std::string(vgpu::nameOf(made.mistake)) + tried.before + tried.after];
    Hash chosen;
    chosen.add(hash);
    chosen.add(made.index);
    chosen.add(tried.after);
    if ((chosen.get() >> 32) % every == 0)
      known->mutants.push_back(std::move(tried));
  }
  return *known;
}

MutationRun::Fate MutationRun::fateOf(Context &context, const Stream &stream, const Kernel &kernel,
                                      const Launch &launch, Tried &tried,
                                      const Reference &reference) {
  const double limit = 0.2 + 20 * reference.slowest;
  ptx::Function source = tried.mutant.applyTo(kernel.source);
  for (uint64_t seed : kSeeds) {
    Outcome outcome = run(context, stream, kernel, launch, source, seed, limit);
    if (outcome.isLate)
      return Fate::Hang;
    if (!outcome.isDone)
      return outcome.message[0] ? Fate::Invalid : Fate::Crash;
    if (outcome.hasErrors)
      return Fate::Found;
    if (outcome.digest != reference.digest)
      return Fate::WrongResult;
  }
  if (tried.fate == Fate::Survived)
    return Fate::Survived;
  Outcome probe =
      run(context, stream, kernel, launch, tried.mutant.probeOf(kernel.source), 0, limit);
  return probe.hasErrors ? Fate::Survived : Fate::Same;
}

void MutationRun::examine(Context &context, const Stream &stream, const Kernel &kernel,
                          const Launch &launch) {
  Examined &examined = find(kernel);
  if (examined.mutants.empty() || examined.launches == kMostLaunches || context.synchronize())
    return;
  ++examined.launches;
  constexpr double kNoLimit = 1000;
  Reference reference;
  for (uint64_t seed : kSeeds) {
    Outcome outcome = run(context, stream, kernel, launch, kernel.source, seed, kNoLimit);
    reference.slowest = std::max(reference.slowest, outcome.cpuSeconds);
    if (!outcome.isClean)
      examined.wrong = outcome.isDone ? outcome.message : "it does not end";
    else if (seed != kSeeds[0] && reference.digest != outcome.digest)
      examined.wrong = "its results depend on the schedule";
    reference.digest = outcome.digest;
  }
  for (Tried &tried : examined.mutants)
    if (tried.fate == Fate::Survived || tried.fate == Fate::Same)
      tried.fate = fateOf(context, stream, kernel, launch, tried, reference);
}

std::string MutationRun::report() const {
  std::string text;
  for (const auto &[hash, kernel] : kernels) {
    text += "kernel\t" + kernel->name + "\t" + std::to_string(kernel->launches) + "\t" +
            kernel->wrong + "\n";
    for (const Tried &tried : kernel->mutants)
      text += "mutant\t" + kernel->name + "\t" + std::string(vgpu::nameOf(tried.mutant.mistake)) +
              "\t" + std::to_string(tried.line) + "\t" + std::string(nameOf(tried.fate)) + "\t" +
              tried.before + "\t" + tried.after + "\t" + std::to_string(tried.number) + "\n";
  }
  return text;
}

} // namespace vgpu
