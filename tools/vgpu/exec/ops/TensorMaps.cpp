// Tensor maps that kernels change: tensormap.replace, the copy that publishes them, and
// the fences between what wrote them and TMA.
#include "check/Observer.h"
#include "exec/ops/Async.h"
#include "exec/ops/MemoryPath.h"

namespace vgpu::VGPU_VARIANT {
namespace {

/// A map is accessed in units of this size.
constexpr uint32_t kUnit = 16;
constexpr int kUnits = TensorMap::kBytes / kUnit;
/// The lanes that copy a map, a unit each.
constexpr LaneMask kCopiers = (LaneMask{1} << kUnits) - 1;

uint64_t numberOf(const Block &block) { return block.runNumber << 32 | block.linearIndex; }

void requireAligned(uint64_t address, int lane) {
  if (address % TensorMap::kAlignment)
    throw Fault(FindingKind::Misaligned, "a tensor map is not aligned to 64 bytes", lane, address);
}

// --- tensormap.replace: operands are the address and the new value; the dimension is
// `immediate`, the field is in `modifiers`.

enum class Field : uint8_t {
  Address,
  Rank,
  Box,
  Size,
  Stride,
  ElementStride,
  Element,
  Swizzle,
  Fill,
};

/// In the order of PTX, which is not that of the driver.
constexpr TensorMap::Element kElements[] = {
    TensorMap::Element::U8,         TensorMap::Element::U16,  TensorMap::Element::U32,
    TensorMap::Element::S32,        TensorMap::Element::U64,  TensorMap::Element::S64,
    TensorMap::Element::F16,        TensorMap::Element::F32,  TensorMap::Element::F32Flushed,
    TensorMap::Element::F64,        TensorMap::Element::BF16, TensorMap::Element::TF32,
    TensorMap::Element::TF32Flushed};

/// What has no room in the map's bytes becomes the largest that has, which no copy allows.
void replaceField(TensorMap &map, Field field, size_t dimension, uint64_t value) {
  switch (field) {
  case Field::Address:
    map.address = value;
    return;
  case Field::Rank: // it is one less than the number of dimensions
    map.rank = static_cast<int>(std::min<uint64_t>(value, UINT8_MAX - 1)) + 1;
    return;
  case Field::Box:
    map.box[dimension] = std::min<uint64_t>(value, UINT16_MAX);
    return;
  case Field::Size:
    map.size[dimension] = value;
    return;
  case Field::Stride: // there is none for the first dimension
    map.stride[dimension + 1] = value;
    return;
  case Field::ElementStride:
    map.elementStride[dimension] = std::min<uint64_t>(value, UINT8_MAX);
    return;
  case Field::Element:
    map.element = kElements[value];
    map.stride[0] = map.elementBytes();
    return;
  case Field::Swizzle:
    map.swizzle = static_cast<Swizzle>(value);
    return;
  case Field::Fill:
    map.fillsWithNan = value != 0;
    return;
  }
}

/// Calls move(bytes of a lane's unit, unit, lane) for the lanes' maps.
template <class Move>
void eachUnit(Warp &warp, const Instruction &instruction, LaneMask lanes, AccessKind kind,
              Move move) {
  const auto *given = warp.lanes<uint64_t>(instruction.operands[0]);
  for (int unit = 0; unit < kUnits; ++unit) {
    Accessed accessed;
    for (int lane = 0; lane < kWarpSize; ++lane)
      accessed.addresses[lane] =
          given[lanes >> lane & 1 ? lane : std::countr_zero(lanes)] + kUnit * unit;
    accessAddresses(warp, instruction, lanes, kind, accessed);
    forLanes(lanes, [&](int lane) { move(accessed.of(lane), unit, lane); });
  }
}

/// Whether an address means global memory; it may mean nothing but that and shared.
bool isGlobal(const Instruction &instruction, uint64_t address, int lane) {
  if (instruction.memory.space != ptx::Space::Generic)
    return instruction.memory.space == ptx::Space::Global;
  uint64_t window = address & kWindowMask;
  if (window != 0 && window != kSharedWindow)
    throw Fault(FindingKind::OutOfBounds, "a tensor map lies in global or shared memory", lane,
                address);
  return window == 0;
}

Step replace(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  uint8_t maps[kWarpSize][TensorMap::kBytes];
  const auto *addresses = warp.lanes<uint64_t>(instruction.operands[0]);
  const auto *values = warp.lanes<uint64_t>(instruction.operands[1]);
  forLanes(lanes, [&](int lane) { requireAligned(addresses[lane], lane); });
  eachUnit(warp, instruction, lanes, AccessKind::Load, [&](uint8_t *from, int unit, int lane) {
    std::memcpy(maps[lane] + kUnit * unit, from, kUnit);
  });
  forLanes(lanes, [&](int lane) {
    std::optional<TensorMap> map = TensorMap::decode(maps[lane]);
    if (!map)
      throw Fault(FindingKind::InvalidInstruction,
                  "there is no tensor map, or its bytes were changed", lane, addresses[lane]);
    if (map->mode != TensorMap::Mode::Tile)
      throw Fault(FindingKind::InvalidInstruction, "the tensor map is for im2col", lane);
    replaceField(*map, static_cast<Field>(instruction.modifiers),
                 static_cast<size_t>(instruction.immediate), values[lane]);
    map->encode(maps[lane]);
    if (isGlobal(instruction, addresses[lane], lane))
      warp.block.machine.tensorMaps.change(addresses[lane], numberOf(warp.block));
  });
  eachUnit(warp, instruction, lanes, AccessKind::Store, [&](uint8_t *to, int unit, int lane) {
    std::memcpy(to, maps[lane] + kUnit * unit, kUnit);
  });
  return Step::Next;
}

// --- Fences

Step acquire(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const auto *addresses = warp.lanes<uint64_t>(instruction.operands[0]);
  forLanes(lanes, [&](int lane) {
    requireAligned(addresses[lane], lane);
    asynchronyOf(warp).acquiredMaps[addresses[lane]] =
        warp.block.machine.tensorMaps.released(addresses[lane]);
  });
  if (Observer *observer = warp.block.machine.observer)
    observer->fence(warp, lanes, Order::Acquire, instruction.memory.scope);
  return Step::Next;
}

Step release(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  warp.block.machine.tensorMaps.release(numberOf(warp.block));
  if (Observer *observer = warp.block.machine.observer)
    observer->fence(warp, lanes, Order::Release, instruction.memory.scope);
  return Step::Next;
}

// --- tensormap.cp_fenceproxy: the warp copies a map from shared to global memory, and
// releases it. Operands are both addresses.

uint64_t sameInAll(const Warp &warp, Operand operand) {
  const auto *addresses = warp.lanes<uint64_t>(operand);
  for (int lane = 1; lane < kWarpSize; ++lane)
    if (addresses[lane] != addresses[0])
      throw Fault(FindingKind::InvalidInstruction, "lanes disagree about an address", lane,
                  addresses[lane]);
  requireAligned(addresses[0], 0);
  return addresses[0];
}

void copierAddresses(uint64_t address, Accessed &accessed) {
  for (int lane = 0; lane < kWarpSize; ++lane)
    accessed.addresses[lane] = address + static_cast<uint64_t>(lane < kUnits ? kUnit * lane : 0);
}

Step copyAndRelease(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  if (lanes != kAllLanes)
    throw Fault(FindingKind::BarrierDivergence, "it needs the whole warp");
  uint64_t to = sameInAll(warp, instruction.operands[0]);
  Accessed source, target;
  copierAddresses(sameInAll(warp, instruction.operands[1]) & ~kWindowMask, source);
  copierAddresses(to, target);
  accessShared(warp, instruction, kCopiers, source, AccessKind::Load);
  accessGlobal(warp, instruction, kCopiers, target, AccessKind::Store);
  forLanes(kCopiers, [&](int lane) { std::memcpy(target.of(lane), source.of(lane), kUnit); });
  warp.block.machine.tensorMaps.change(to, numberOf(warp.block));
  return release(warp, instruction, lanes);
}

// --- Decoding

/// A value that the instruction's text has, and its limit.
Operand constantBelow(Decoding &decoding, size_t number, int64_t limit, std::string_view why) {
  int64_t value = decoding.integer(number);
  if (value < 0 || value >= limit)
    decoding.fail("value " + std::to_string(value) + " " + std::string(why));
  return decoding.builder.constant(static_cast<uint64_t>(value), 8);
}

/// A register of 32 bits, widened.
Step widen(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const auto *from = warp.lanes<uint32_t>(instruction.operands[1]);
  eachLane(warp.lanes<uint64_t>(instruction.operands[0]), lanes,
           [=](int lane) { return uint64_t{from[lane]}; });
  return Step::Next;
}

Operand valueOperand(Decoding &decoding, size_t number) {
  if (decoding.has("b64"))
    return decoding.read(number, Type::B64);
  Instruction helper;
  helper.execute = widen;
  helper.source = &decoding.source;
  helper.operands[0] = decoding.builder.scratch(Type::U64);
  helper.operands[1] = decoding.read(number, Type::B32);
  decoding.builder.emit(helper);
  return helper.operands[0];
}

Operand newValue(Decoding &decoding, Field field) {
  decoding.expectOperands(2);
  switch (field) {
  case Field::Element:
    return constantBelow(decoding, 1, std::size(kElements), "is no type, or one of sm_100a");
  case Field::Swizzle:
    return constantBelow(decoding, 1, 4, "is no swizzle, or one of sm_103a");
  case Field::Fill:
    return constantBelow(decoding, 1, 2, "is no way to fill");
  default:
    return valueOperand(decoding, 1);
  }
}

Handler selectReplace(Decoding &decoding) {
  constexpr std::pair<std::string_view, Field> kFields[] = {
      {"global_address", Field::Address},
      {"rank", Field::Rank},
      {"box_dim", Field::Box},
      {"global_dim", Field::Size},
      {"global_stride", Field::Stride},
      {"element_stride", Field::ElementStride},
      {"elemtype", Field::Element},
      {"swizzle_mode", Field::Swizzle},
      {"fill_mode", Field::Fill}};
  decoding.memoryForm();
  decoding.out.memory.elementBytes = kUnit;
  decoding.out.operands[0] = addressOperand(decoding, decoding.operand(0));
  if (decoding.has("interleave_layout")) {
    constantBelow(decoding, 1, 1, "is an interleaved layout, which is not supported");
    return nullptr; // it is none already
  }
  for (auto [name, field] : kFields) {
    if (!decoding.has(name))
      continue;
    decoding.out.modifiers = static_cast<uint32_t>(field);
    bool hasDimension = field >= Field::Box && field <= Field::ElementStride;
    if (!hasDimension) {
      decoding.out.operands[1] = newValue(decoding, field);
      return replace;
    }
    decoding.expectOperands(3);
    constantBelow(decoding, 1, TensorMap::kMostDimensions - (field == Field::Stride),
                  "is no dimension");
    decoding.out.immediate = decoding.integer(1);
    decoding.out.operands[1] = valueOperand(decoding, 2);
    return replace;
  }
  decoding.unsupported();
}

void requireMapSize(Decoding &decoding, size_t number) {
  if (decoding.integer(number) != TensorMap::kBytes)
    decoding.fail("a tensor map has 128 bytes");
}

Handler selectTensorMap(Decoding &decoding) {
  usesAsynchrony(decoding, true);
  if (decoding.has("replace"))
    return selectReplace(decoding);
  if (!decoding.has("cp_fenceproxy"))
    decoding.unsupported();
  decoding.expectOperands(3);
  requireMapSize(decoding, 2);
  decoding.memoryForm();
  decoding.out.memory.order = Order::Weak; // the copy; the fence is another matter
  decoding.out.memory.elementBytes = kUnit;
  decoding.out.operands[0] = addressOperand(decoding, decoding.operand(0));
  decoding.out.operands[1] = addressOperand(decoding, decoding.operand(1));
  return copyAndRelease;
}

} // namespace

Handler selectTensorMapFence(Decoding &decoding) {
  usesAsynchrony(decoding, false);
  decoding.out.kind = InstructionClass::Barrier;
  decoding.memoryForm();
  if (decoding.has("release"))
    return release;
  decoding.expectOperands(2);
  requireMapSize(decoding, 1);
  decoding.out.operands[0] = addressOperand(decoding, decoding.operand(0));
  return acquire;
}

void addTensorMaps(SelectorTable &table) { table["tensormap"] = selectTensorMap; }

} // namespace vgpu::VGPU_VARIANT
