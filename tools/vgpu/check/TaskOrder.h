#pragma once
// What comes before what among the tasks of streams.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace vgpu {

/// The place of a task: the number `sequence` of a timeline (a stream, or a
/// branch of a graph), and the last task of each timeline that is done before it
/// begins, whatever the schedule. A default one stands alone: it comes after
/// everything that began earlier.
struct TaskOrder {
  size_t timeline = 0;
  uint64_t sequence = 0;
  std::vector<uint64_t> last; ///< by timeline; missing ones are 0
  /// The part of it that the host had waited for: later tasks come after it too.
  std::vector<uint64_t> settled;

  bool standsAlone() const { return sequence == 0; }
  bool isAfter(const TaskOrder &other) const { return standsAlone() || isIn(other, last); }
  bool isSettled(const TaskOrder &other) const { return standsAlone() || isIn(other, settled); }
  /// This task is to come after `other`, and all that comes before that.
  void follow(const TaskOrder &other) {
    join(other.last);
    know(other.timeline, other.sequence);
  }
  void join(const std::vector<uint64_t> &others) {
    last.resize(std::max(last.size(), others.size()));
    for (size_t index = 0; index < others.size(); ++index)
      last[index] = std::max(last[index], others[index]);
  }
  void know(size_t number, uint64_t upTo) {
    last.resize(std::max(last.size(), number + 1));
    last[number] = std::max(last[number], upTo);
  }

private:
  static bool isIn(const TaskOrder &task, const std::vector<uint64_t> &numbers) {
    return task.timeline < numbers.size() && numbers[task.timeline] >= task.sequence;
  }
};

} // namespace vgpu
