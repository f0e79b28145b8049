#include "driver/Tasks.h"

namespace vgpu {
namespace {

CUresult resultOf(FindingKind kind) {
  switch (kind) {
  case FindingKind::OutOfBounds:
  case FindingKind::ReadOnlyWrite:
    return CUDA_ERROR_ILLEGAL_ADDRESS;
  case FindingKind::Misaligned:
    return CUDA_ERROR_MISALIGNED_ADDRESS;
  case FindingKind::Deadlock:
    return CUDA_ERROR_LAUNCH_TIMEOUT;
  case FindingKind::Assertion:
    return CUDA_ERROR_ASSERT;
  case FindingKind::StackOverflow:
    return CUDA_ERROR_HARDWARE_STACK_ERROR;
  case FindingKind::Trap:
    return CUDA_ERROR_LAUNCH_FAILED;
  default:
    return CUDA_ERROR_ILLEGAL_INSTRUCTION;
  }
}

/// Steps of a grid before other streams have their turn.
constexpr int kStepsPerTurn = 16;

} // namespace

Task::State ContextTask::run() {
  if (context.fault != CUDA_SUCCESS)
    return State::Done;
  try {
    return step();
  } catch (const Fault &fault) {
    context.fault = resultOf(fault.kind);
    return State::Done;
  }
}

Task::State KernelTask::step() {
  if (!grid) {
    grid = std::make_unique<Grid>(context.device.machine, launch, seed, order);
    start = std::chrono::steady_clock::now();
  }
  for (int step = 0; step < kStepsPerTurn; ++step) {
    switch (grid->step()) {
    case Grid::State::Running:
      break;
    case Grid::State::Stalled:
      grid->reportDeadlock("no block can go on");
      grid.reset();
      throw Fault(FindingKind::Deadlock, "deadlock");
    case Grid::State::Finished:
      grid.reset();
      return State::Done;
    }
  }
  endIfLate();
  return State::Running;
}

void KernelTask::endIfLate() {
  double limit = Driver::get().timeoutSeconds;
  if (limit <= 0 || std::chrono::steady_clock::now() - start < std::chrono::duration<double>(limit))
    return;
  grid->reportDeadlock("the kernel has not ended within VGPU_TIMEOUT");
  grid.reset();
  throw Fault(FindingKind::Deadlock, "timeout");
}

} // namespace vgpu
