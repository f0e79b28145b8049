#include "driver/MutationRun.h"

#include "driver/Tasks.h"
#include "exec/Selectors.h"
#include "mutate/InstructionText.h"
#include "mutate/Survey.h"
#include "program/Decoder.h"
#include "ptx/Lexer.h"

#include <algorithm>
#include <bit>
#include <csignal>
#include <cstring>
#include <fnmatch.h>
#include <memory>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace vgpu {
namespace {

constexpr uint64_t kSeeds[] = {0, 1, 2};
/// Later ones are not examined.
constexpr int kMostLaunches = 24;
constexpr uint64_t kNoLimit = ~uint64_t{0};

class Hash {
public:
  void add(uint64_t word) { value = std::rotl((value ^ word) * 0x9e37'79b9'7f4a'7c15, 29); }
  void add(std::string_view text) { add(std::hash<std::string_view>{}(text)); }
  void add(const ptx::Operand &operand) {
    for (int64_t part : {int64_t(operand.kind), int64_t(operand.isNegated), int64_t(operand.index),
                         int64_t(operand.second), int64_t(operand.bits), operand.offset})
      add(static_cast<uint64_t>(part));
    add(operand.name);
    add(operand.part);
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

/// Memory that a process and its children share.
template <class T> class SharedArray {
public:
  explicit SharedArray(size_t count)
      : bytes(std::max<size_t>(count, 1) * sizeof(T)),
        memory(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
    if (memory == MAP_FAILED)
      throw std::bad_alloc();
    std::uninitialized_value_construct_n(begin(), count);
  }
  ~SharedArray() { munmap(memory, bytes); }
  SharedArray(const SharedArray &) = delete;

  T *begin() const { return static_cast<T *>(memory); }

private:
  size_t bytes;
  void *memory;
};

/// Where marks are set, by their number.
bool *marks = nullptr;

Step setMark(Warp &, const Instruction &instruction, LaneMask) {
  marks[instruction.immediate] = true;
  return Step::Next;
}

Handler selectMark(Decoding &decoding) {
  decoding.out.immediate = decoding.integer(0);
  return setMark;
}

const SelectorTable &selectorsWithMarks() {
  static const SelectorTable table = [] {
    SelectorTable table = selectors();
    table[kMark] = selectMark;
    return table;
  }();
  return table;
}

} // namespace

std::string_view MutationRun::nameOf(Fate fate) {
  constexpr std::string_view kNames[] = {"survived", "same",    "wrong-result", "found",
                                         "hang",     "invalid", "crash"};
  return kNames[static_cast<int>(fate)];
}

/// Runs the kernel on this thread, as the engine would.
void MutationRun::runHere(const Trial &trial, const ptx::Function &source, uint64_t seed,
                          uint64_t mostTurns, Outcome &outcome) {
  Findings &findings = Driver::get().findings;
  findings.take();
  Launch launch = trial.launch;
  try {
    launch.program = decode(*launch.source, source, trial.module.variables, selectorsWithMarks());
  } catch (const ptx::SyntaxError &error) {
    std::snprintf(outcome.message, sizeof outcome.message, "%s", error.what());
    return;
  }
  TaskOrder order = trial.context.orderOf(trial.stream, Marker());
  order.follow(trial.stream.order);
  ++order.sequence;
  try {
    Grid grid(trial.context.device.machine, std::make_shared<Launch>(std::move(launch)), seed,
              order);
    Grid::State state = Grid::State::Running;
    while (state == Grid::State::Running && grid.turnsTaken() <= mostTurns && !findings.hasErrors())
      state = grid.step();
    outcome.turns = grid.turnsTaken();
    outcome.isLate = state == Grid::State::Running;
    outcome.hasErrors = state == Grid::State::Stalled;
  } catch (const Fault &) {
    outcome.hasErrors = true;
  }
  std::vector<Finding> found = findings.all();
  outcome.hasErrors |= findings.hasErrors();
  outcome.isClean = found.empty() && !outcome.hasErrors;
  if (!found.empty())
    std::snprintf(outcome.message, sizeof outcome.message, "%s", found[0].message.c_str());
  if (!outcome.hasErrors)
    outcome.digest = digestOf(trial.context.device.memory);
  outcome.isDone = true;
}

MutationRun::Outcome MutationRun::run(const Trial &trial, const ptx::Function &source,
                                      uint64_t seed, uint64_t mostTurns) {
  SharedArray<Outcome> told(1);
  pid_t child = fork();
  if (child == 0) {
    leaveSignalsAlone();
    trial.context.device.mapped.detach();
    runHere(trial, source, seed, mostTurns, *told.begin());
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return *told.begin();
}

MutationRun::Examined &MutationRun::find(const Trial &trial) {
  const ptx::Function &kernel = trial.kernel();
  uint64_t hash = hashOf(kernel);
  std::unique_ptr<Examined> &known = kernels[hash];
  if (known)
    return *known;
  known = std::make_unique<Examined>();
  known->name = kernel.name;
  std::map<std::string, int> alike;
  for (Mutant &mutant : mutantsOf(*trial.launch.source, kernel)) {
    Tried tried{std::move(mutant), "", "", 0, 0};
    const Mutant &made = tried.mutant;
    tried.before = made.before(kernel);
    tried.after = made.after(kernel);
    tried.line = kernel.instructions[made.index].line;
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

MutationRun::Reference MutationRun::referenceOf(const Trial &trial, Examined &examined) {
  Reference reference;
  for (uint64_t seed : kSeeds) {
    Outcome outcome = run(trial, trial.kernel(), seed, kNoLimit);
    if (!outcome.isClean)
      examined.wrong = outcome.isDone ? outcome.message : "it does not end";
    else if (seed != kSeeds[0] && reference.digest != outcome.digest)
      examined.wrong = "its results depend on the schedule";
    reference.digest = outcome.digest;
    reference.turns = std::max(reference.turns, outcome.turns);
  }
  return reference;
}

std::vector<MutationRun::Tried *> MutationRun::differing(const Trial &trial, Examined &examined) {
  std::vector<Tried *> alive;
  std::vector<const Mutant *> mutants;
  for (Tried &tried : examined.mutants)
    if (tried.fate == Fate::Survived || tried.fate == Fate::Same) {
      alive.push_back(&tried);
      mutants.push_back(&tried.mutant);
    }
  SharedArray<bool> isDifferent(alive.size());
  marks = isDifferent.begin();
  Outcome outcome = run(trial, surveyOf(trial.kernel(), mutants), kSeeds[0], kNoLimit);
  if (!outcome.isClean)
    examined.wrong = outcome.isDone ? outcome.message : "its survey does not end";
  std::vector<Tried *> result;
  for (size_t i = 0; i < alive.size(); ++i)
    if (marks[i])
      result.push_back(alive[i]);
  return result;
}

MutationRun::Fate MutationRun::fateOf(const Trial &trial, const Tried &tried,
                                      const Reference &reference) {
  // The kernel's turns are few if it is short.
  const uint64_t mostTurns = 100 + 3 * reference.turns;
  ptx::Function source = tried.mutant.applyTo(trial.kernel());
  for (uint64_t seed : kSeeds) {
    Outcome outcome = run(trial, source, seed, mostTurns);
    if (!outcome.isDone)
      return outcome.message[0] ? Fate::Invalid : Fate::Crash;
    if (outcome.hasErrors)
      return Fate::Found;
    if (outcome.isLate)
      return Fate::Hang;
    if (outcome.digest != reference.digest)
      return Fate::WrongResult;
  }
  return Fate::Survived;
}

static const Module &moduleOf(const Context &context, const Launch &launch) {
  return *std::find_if(context.modules.begin(), context.modules.end(), [&](const auto &entry) {
            return entry.second->source == launch.source;
          })->second;
}

void MutationRun::examine(Context &context, const Stream &stream, const Launch &launch) {
  if (fnmatch(pattern.c_str(), launch.program->kernel->name.c_str(), 0))
    return;
  Trial trial{context, stream, moduleOf(context, launch), launch};
  Examined &examined = find(trial);
  if (examined.mutants.empty() || examined.launches == kMostLaunches || context.synchronize())
    return;
  ++examined.launches;
  Reference reference = referenceOf(trial, examined);
  for (Tried *tried : differing(trial, examined))
    tried->fate = fateOf(trial, *tried, reference);
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
