#pragma once
// A device's engine: a thread that carries out the tasks of all streams.

#include "check/TaskOrder.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace vgpu {

/// Something that a stream does, after the tasks that it depends on.
class Task {
public:
  enum class State : uint8_t { Running, Waiting, Done };

  virtual ~Task() = default;
  /// One slice of the work, on the engine's thread. Waiting: nothing could be
  /// done; others may change that.
  virtual State run() = 0;

  std::vector<std::shared_ptr<Task>> dependencies;
  /// Its place in the program's order; set when it is submitted.
  TaskOrder order;

  bool isDone() const { return done.load(std::memory_order_acquire); }

private:
  friend class Engine;
  std::atomic<bool> done = false;
};

class Engine {
public:
  Engine() = default;
  ~Engine();

  void submit(std::shared_ptr<Task> task);
  void wait(const std::shared_ptr<Task> &task);

private:
  void work();
  std::vector<std::shared_ptr<Task>> ready();
  void finish(const std::shared_ptr<Task> &task);

  std::mutex mutex;
  std::condition_variable submitted, finished;
  std::vector<std::shared_ptr<Task>> tasks;
  bool stops = false;
  std::thread thread;
};

} // namespace vgpu
