#pragma once
// What the checkers found, and how it is told.

#include <array>
#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace vgpu {

enum class FindingKind : uint8_t {
  OutOfBounds,
  Misaligned,
  ReadOnlyWrite,
  Uninitialized,
  BarrierDivergence,
  Deadlock,
  Trap,
  Assertion,
  InvalidInstruction, ///< operands that the instruction does not allow
  StackOverflow,
  Race,
  WarpSynchronous, ///< lanes that rely on running together, with volatile accesses
  Proxy,
  Asynchronous, ///< misuse of mbarrier, cp.async, TMA or wgmma
  NotCountable, ///< while counting without tensor arithmetic: its results matter
  Leak,
  ApiMisuse,
};
std::string_view nameOf(FindingKind kind);

enum class Severity : uint8_t { Error, Warning, Note };
std::string_view nameOf(Severity severity);

/// Where in a launch something happened.
struct Site {
  std::string kernel;
  int line = 0;            ///< of the PTX; 0 where there is none
  std::string instruction; ///< opcode and modifiers
  std::array<uint32_t, 3> block{};
  int warp = -1, lane = -1;
};

struct Finding {
  FindingKind kind = FindingKind::InvalidInstruction;
  Severity severity = Severity::Error;
  std::string message;
  Site site;
  uint64_t address = 0;
  bool hasAddress = false;
  std::string other;  ///< the other party of a race, in words
  uint64_t count = 1; ///< times it was found at this kernel and line
};

/// Collects findings of all threads. Those of one kind and severity at one line
/// of one kernel are one finding with a count; the first is kept.
class Findings {
public:
  void add(Finding finding);
  std::vector<Finding> all() const;
  std::vector<Finding> take();
  bool hasErrors() const;
  static std::string text(const Finding &finding);
  static std::string json(const std::vector<Finding> &findings);

private:
  mutable std::mutex mutex;
  std::vector<Finding> findings;
};

/// Ends the kernel, as a fault of the hardware does. The warp that executes
/// adds the place.
struct Fault : std::runtime_error {
  Fault(FindingKind kind, const std::string &message, int lane = -1)
      : std::runtime_error(message), kind(kind), lane(lane) {}
  Fault(FindingKind kind, const std::string &message, int lane, uint64_t address)
      : std::runtime_error(message), kind(kind), lane(lane), address(address), hasAddress(true) {}

  FindingKind kind;
  int lane;
  uint64_t address = 0;
  bool hasAddress = false;
};

} // namespace vgpu
