#pragma once
// Would a program notice mistakes in its kernels? Each launch is tried with
// mutants of its kernel before it happens, every one in a process of its own.

#include "driver/Driver.h"
#include "exec/Launch.h"
#include "mutate/Mutants.h"

namespace vgpu {

class MutationRun {
public:
  /// Kernels are tried whose names match a pattern such as matmul_*; of all mutants,
  /// one in `every`, always the same ones. The report goes to the file `path`.
  MutationRun(std::string path, std::string pattern, uint64_t every)
      : path(std::move(path)), pattern(std::move(pattern)), every(every) {}

  /// Waits for the context's streams. The launch itself is left to the caller.
  void examine(Context &context, const Stream &stream, const Launch &launch);
  /// One line for each kernel and each mutant, its columns separated by tabs:
  ///   kernel  name  launches  what is wrong with it
  ///   mutant  name  mistake   PTX line  fate  before  after  number
  /// The number tells mutants of a kernel apart that have the same text.
  std::string report() const;

  const std::string path;

private:
  enum class Fate : uint8_t {
    Survived,
    Same,        ///< not tried, since nothing that is executed differs
    WrongResult, ///< memory is not as the kernel leaves it
    Found,       ///< there is an error, or a fault
    Hang,        ///< it takes far more turns than the kernel
    Invalid,     ///< it is no PTX, so it is no mutant
    Crash,       ///< of the virtual GPU
  };
  static std::string_view nameOf(Fate fate);

  struct Tried {
    Mutant mutant;
    std::string before, after;
    int line, number;
    Fate fate = Fate::Same; ///< in all launches
  };
  /// What the kernel itself does.
  struct Reference {
    uint64_t digest = 0;
    uint64_t turns = 0; ///< under the schedule that takes the most
  };
  /// Kernels of one text, whatever modules they are in.
  struct Examined {
    std::string name, wrong;
    std::vector<Tried> mutants;
    int launches = 0;
  };
  /// What a process tells of its run.
  struct Outcome {
    uint64_t digest = 0; ///< of all memory
    uint64_t turns = 0;
    bool isClean = false, hasErrors = false, isLate = false, isDone = false;
    char message[256] = {};
  };
  /// A launch that is examined.
  struct Trial {
    Context &context;
    const Stream &stream;
    const Module &module;
    const Launch &launch;
    const ptx::Function &kernel() const { return *launch.program->kernel; }
  };

  Examined &find(const Trial &trial);
  static Reference referenceOf(const Trial &trial, Examined &examined);
  /// Those of which the launch executes something that differs.
  static std::vector<Tried *> differing(const Trial &trial, Examined &examined);
  static Fate fateOf(const Trial &trial, const Tried &tried, const Reference &reference);
  /// Runs a kernel in place of the launch's, in a process of its own, for so many
  /// turns at most.
  static Outcome run(const Trial &trial, const ptx::Function &source, uint64_t seed,
                     uint64_t mostTurns);
  static void runHere(const Trial &trial, const ptx::Function &source, uint64_t seed,
                      uint64_t mostTurns, Outcome &outcome);

  const std::string pattern;
  const uint64_t every;
  std::map<uint64_t, std::unique_ptr<Examined>> kernels; ///< by a hash of their text
};

} // namespace vgpu
