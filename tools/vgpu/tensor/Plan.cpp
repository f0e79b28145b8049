#include "tensor/Plan.h"

#include <deque>
#include <mutex>
#include <tuple>

namespace vgpu::tensor {
namespace {

auto key(const Plan &plan) {
  const Form &form = plan.form;
  return std::tuple(form.m, form.n, form.k, form.d, form.a, form.b, form.c, form.isARowMajor,
                    form.isBRowMajor, form.saturates, form.isAnd, plan.source, plan.negates,
                    plan.isAAcross, plan.isBAcross);
}

} // namespace

const Plan &keep(Plan plan) {
  static std::mutex mutex;
  static std::deque<Plan> plans;
  std::lock_guard lock(mutex);
  for (const Plan &known : plans)
    if (key(known) == key(plan))
      return known;
  const Form &form = plan.form;
  plan.order = sumOrder(numerics(), form.m, form.n, form.k, form.a, form.b, plan.source);
  plan.registersOfA = form.registersOfA();
  plan.registersOfB = form.registersOfB();
  plan.registersOfD = form.registersOf(form.d);
  return plans.emplace_back(std::move(plan));
}

} // namespace vgpu::tensor
