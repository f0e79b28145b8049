#include "tensor/Footprint.h"

#include "tensor/Descriptor.h"

#include <algorithm>

namespace vgpu::tensor {
namespace {

constexpr uint32_t kUnit = 16;

std::vector<uint32_t> unitsOf(uint64_t bits, bool isAcross, int rows) {
  MatrixDescriptor descriptor = MatrixDescriptor::decode(bits);
  std::vector<uint32_t> units;
  for (int block = 0; block < rows / 8; ++block)
    for (int half = 0; half < 2; ++half)
      for (int row = 0; row < 8; ++row)
        units.push_back(isAcross ? descriptor.acrossK(8 * half + row, block)
                                 : descriptor.alongK(8 * block + row, half));
  return units;
}

/// A unit may be part of both matrices, or twice of one.
void addRanges(std::vector<uint32_t> units, Footprint &footprint) {
  std::sort(units.begin(), units.end());
  for (uint32_t unit : units) {
    if (!footprint.ranges.empty() && unit <= footprint.ranges.back().end)
      footprint.ranges.back().end = std::max(footprint.ranges.back().end, unit + kUnit);
    else
      footprint.ranges.push_back({unit, unit + kUnit});
  }
}

void addHulls(Footprint &footprint) {
  constexpr uint32_t kMostApart = 2 * 128; // the first of a row of 128 bytes, the last of the next
  for (SharedRange range : footprint.ranges) {
    if (!footprint.hulls.empty() && range.begin < footprint.hulls.back().end + kMostApart)
      footprint.hulls.back().end = range.end;
    else
      footprint.hulls.push_back(range);
  }
}

} // namespace

std::shared_ptr<const Footprint> Footprints::of(const Plan &plan, uint64_t descriptorA,
                                                uint64_t descriptorB) {
  if (known.size() > kMost)
    known.clear();
  std::shared_ptr<const Footprint> &entry = known[{&plan, descriptorA, descriptorB}];
  if (entry)
    return entry;
  Footprint footprint;
  if (plan.source == Source::SharedMemory)
    footprint.a = unitsOf(descriptorA, plan.isAAcross, plan.form.m);
  footprint.b = unitsOf(descriptorB, plan.isBAcross, plan.form.n);
  std::vector<uint32_t> units = footprint.a;
  units.insert(units.end(), footprint.b.begin(), footprint.b.end());
  addRanges(std::move(units), footprint);
  addHulls(footprint);
  entry = std::make_shared<const Footprint>(std::move(footprint));
  return entry;
}

} // namespace vgpu::tensor
