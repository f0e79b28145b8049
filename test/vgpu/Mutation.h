#pragma once
// Mechanical mistakes in PTX: does anybody notice them?

#include <functional>
#include <string>
#include <vector>

struct Mutant {
  std::string mistake; ///< the operator's name
  int line;            ///< of the PTX
  std::string before, after;
  std::string text; ///< all of the PTX, with the mistake
};

/// Every mistake that the eight operators can make, one a mutant:
///   drop-barrier    a barrier is left out, or only a warp's
///   loosen-wait     one group more may be pending; a wait goes on at once
///   change-bytes    a count of bytes is less
///   shift-index     an access, or the bound of a comparison, is one off
///   misalign        a vector access is one element off
///   drop-fence      a fence is left out, or a release or acquire is relaxed
///   swap-buffers    one shared variable is taken for another
///   drop-predicate  a guarded instruction is executed by all
std::vector<Mutant> mutantsOf(const std::string &ptx);

enum class Fate { WrongResult, Found, Fault, Hang, Survived };
std::string nameOf(Fate fate);

/// Runs `isRight(text)` in a process of its own for seeds 0, 1 and 2, until one
/// kills the mutant. `isRight` uses the driver API from cuInit on.
Fate fateOf(const std::string &text, const std::function<bool(const std::string &)> &isRight);
