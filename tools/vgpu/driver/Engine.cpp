#include "driver/Engine.h"

#include <algorithm>
#include <chrono>

namespace vgpu {

Engine::~Engine() {
  {
    std::lock_guard lock(mutex);
    stops = true;
  }
  submitted.notify_all();
  if (thread.joinable())
    thread.join();
}

void Engine::submit(std::shared_ptr<Task> task) {
  std::lock_guard lock(mutex);
  if (!thread.joinable())
    thread = std::thread([this] { work(); });
  tasks.push_back(std::move(task));
  submitted.notify_all();
}

void Engine::wait(const std::shared_ptr<Task> &task) {
  if (!task)
    return;
  std::unique_lock lock(mutex);
  finished.wait(lock, [&] { return task->isDone() || stops; });
}

/// Tasks whose dependencies are done.
std::vector<std::shared_ptr<Task>> Engine::ready() {
  std::vector<std::shared_ptr<Task>> result;
  for (const auto &task : tasks)
    if (std::all_of(task->dependencies.begin(), task->dependencies.end(),
                    [](const auto &dependency) { return dependency->isDone(); }))
      result.push_back(task);
  return result;
}

void Engine::finish(const std::shared_ptr<Task> &task) {
  std::lock_guard lock(mutex);
  task->dependencies.clear();
  task->done.store(true, std::memory_order_release);
  tasks.erase(std::find(tasks.begin(), tasks.end(), task));
  finished.notify_all();
}

/// Ready tasks take turns, so that kernels of different streams run together.
void Engine::work() {
  for (;;) {
    std::vector<std::shared_ptr<Task>> turn;
    {
      std::unique_lock lock(mutex);
      submitted.wait(lock, [&] { return stops || !tasks.empty(); });
      if (stops)
        return;
      turn = ready();
    }
    bool progressed = false;
    for (const auto &task : turn) {
      Task::State state = task->run();
      progressed |= state != Task::State::Waiting;
      if (state == Task::State::Done)
        finish(task);
    }
    if (!progressed)
      std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
}

} // namespace vgpu
