#pragma once
// Would a program notice mistakes in its kernels? Each launch is tried with
// mutants of its kernel before it happens, every one in a process of its own.

#include "driver/Driver.h"
#include "exec/Launch.h"
#include "mutate/Mutants.h"

namespace vgpu {

class MutationRun {
public:
  /// Of all mutants, one in `every` is tried, always the same ones. The report
  /// goes to the file `path`.
  MutationRun(std::string path, uint64_t every) : path(std::move(path)), every(every) {}

  /// Waits for the context's streams. The launch itself is left to the caller.
  void examine(Context &context, const Stream &stream, const Kernel &kernel, const Launch &launch);
  /// One line for each kernel and each mutant, its columns separated by tabs:
  ///   kernel  name  launches  what is wrong with it
  ///   mutant  name  mistake   PTX line  fate  before  after  number
  /// The number tells mutants of a kernel apart that have the same text.
  std::string report() const;

  const std::string path;

private:
  enum class Fate : uint8_t {
    Survived,
    Same,        ///< survived, since nothing that was executed differs
    WrongResult, ///< memory is not as the kernel leaves it
    Found,       ///< there is an error, or a fault
    Hang,        ///< far slower than the kernel
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
    double slowest = 0;
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
    bool isClean = false, isValid = false, hasErrors = false, isDone = false;
    double cpuSeconds = 0;
    bool isLate = false;
    char message[256] = {};
  };

  Examined &find(const Kernel &kernel);
  Fate fateOf(Context &context, const Stream &stream, const Kernel &kernel, const Launch &launch,
              Tried &tried, const Reference &reference);
  Outcome run(Context &context, const Stream &stream, const Kernel &kernel, const Launch &launch,
              const ptx::Function &source, uint64_t seed, double limitSeconds);
  static void runHere(Context &context, const Stream &stream, const Kernel &kernel, Launch launch,
                      const ptx::Function &source, uint64_t seed, Outcome &outcome);

  uint64_t every;
  std::map<uint64_t, std::unique_ptr<Examined>> kernels; ///< by a hash of their text
};

} // namespace vgpu
