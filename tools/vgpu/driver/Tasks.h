#pragma once
// What streams can do.

#include "driver/Driver.h"
#include "driver/SharedEvent.h"
#include "exec/Grid.h"

#include <chrono>

namespace vgpu {

/// Work of a context: dropped when the context has failed.
class ContextTask : public Task {
public:
  explicit ContextTask(Context &context) : context(context) {}
  State run() final;

protected:
  virtual State step() = 0;
  Context &context;
};

class KernelTask : public ContextTask {
public:
  KernelTask(Context &context, std::shared_ptr<const Launch> launch, uint64_t seed)
      : ContextTask(context), launch(std::move(launch)), seed(seed) {}

private:
  State step() override;
  void endIfLate();

  std::shared_ptr<const Launch> launch;
  uint64_t seed;
  std::unique_ptr<Grid> grid;
  std::chrono::steady_clock::time_point start;
};

/// Something that is done at once.
class ActionTask : public ContextTask {
public:
  ActionTask(Context &context, std::function<void()> action)
      : ContextTask(context), action(std::move(action)) {}

private:
  State step() override {
    action();
    return State::Done;
  }
  std::function<void()> action;
};

/// Goes on when the condition holds.
class ConditionTask : public ContextTask {
public:
  ConditionTask(Context &context, std::function<bool()> condition)
      : ContextTask(context), condition(std::move(condition)) {}

private:
  State step() override { return condition() ? State::Done : State::Waiting; }
  std::function<bool()> condition;
};

/// What an event records: when it is done, the stream has come here.
class Marker : public Task {
public:
  State run() override {
    time = std::chrono::steady_clock::now();
    if (shared)
      shared->complete(record);
    return State::Done;
  }
  std::chrono::steady_clock::time_point time;
  std::shared_ptr<SharedEvent> shared; ///< if other processes see the event, and
  uint64_t record = 0;                 ///< the number of this record of it
};

} // namespace vgpu
