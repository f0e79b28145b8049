// cp.async.bulk: contiguous bytes, and boxes of tensors that a tensor map
// describes (TMA); cp.reduce.async.bulk; their groups and prefetches.
#include "check/Observer.h"
#include "exec/MemoryChecks.h"
#include "exec/ops/Async.h"
#include "exec/ops/BulkReduce.h"
#include "exec/ops/UsualAccess.h"

namespace vgpu::VGPU_VARIANT {
namespace {

// Operands: 0 shared address, 1 global address or tensor map, 2 mbarrier,
// 3 bytes, 4 the blocks of the cluster. The list holds the coordinates, and the offsets of im2col
// after them. `immediate` is the reduction.

using Coordinates = TensorMap::Coordinates;

/// The modifiers: the kind of the copy, the mode that its map must have, whether it names
/// blocks, and how many coordinates it has.
constexpr uint32_t kKindMask = 3, kIm2col = 4, kMulticast = 8, kDimensionsShift = 4;

BulkCopy::Kind kindOf(const Instruction &instruction) {
  return static_cast<BulkCopy::Kind>(instruction.modifiers & kKindMask);
}

/// Of a cluster of one block, a copy may name only this one.
void requireOwnBlock(const Warp &warp, const Instruction &instruction, int lane) {
  uint32_t blocks = warp.lanes<uint32_t>(instruction.operands[4])[lane];
  if (blocks != 1)
    throw Fault(FindingKind::InvalidInstruction,
                "copies to the blocks of mask " + std::to_string(blocks) +
                    " of a cluster of one block",
                lane);
}

BulkCopy newCopy(Warp &warp, const Instruction &instruction, int lane, uint32_t bytes,
                 uint32_t alignment) {
  BulkCopy copy;
  copy.kind = kindOf(instruction);
  copy.warp = &warp;
  copy.lane = lane;
  copy.instruction = &instruction;
  copy.reduce = reinterpret_cast<BulkReduction>(instruction.immediate);
  uint64_t given = warp.lanes<uint64_t>(instruction.operands[0])[lane];
  uint32_t shared = sharedAddress(warp.block, lane, given, bytes);
  if (shared % alignment)
    throw Fault(FindingKind::Misaligned,
                "the shared address of a bulk copy must be a multiple of " +
                    std::to_string(alignment),
                lane, given);
  copy.range = {shared, shared + bytes};
  if (instruction.modifiers & kMulticast)
    requireOwnBlock(warp, instruction, lane);
  if (copy.kind == BulkCopy::Kind::Load) {
    uint64_t barrier = warp.lanes<uint64_t>(instruction.operands[2])[lane];
    copy.barrier = sharedAddress(warp.block, lane, barrier, 8);
  }
  return copy;
}

AccessKind accessOf(BulkCopy::Kind kind) {
  switch (kind) {
  case BulkCopy::Kind::Load:
    return AccessKind::Load;
  case BulkCopy::Kind::Store:
    return AccessKind::Store;
  case BulkCopy::Kind::Reduce:
    return AccessKind::Atomic;
  case BulkCopy::Kind::Put:
    break;
  }
  return AccessKind::Load;
}

/// Reports what nobody has written. `region` is where the copy was before.
void checkWritten(Warp &warp, int lane, const BulkPiece &piece, GlobalRegion *&region) {
  uint64_t end = piece.global + piece.bytes;
  if (region && piece.global >= region->begin && end <= region->writtenEnd) [[likely]]
    return;
  if (warp.block.races) {
    region = &regionOf(warp, *warp.current(), piece.global);
    warp.block.races->global.lookForWritten(*region);
    if (end <= region->writtenEnd)
      return;
  }
  const DeviceMemory &memory = warp.block.machine.memory;
  if (!memory.isTracked(piece.global))
    return;
  if (std::optional<uint64_t> first = memory.firstUninitialized(piece.global, piece.bytes))
    reportUninitialized(warp, ptx::Space::Global, lane, *first);
}

/// Checks the global memory of the copy, as accesses of its lane.
void checkGlobal(Warp &warp, const BulkCopy &copy) {
  AccessKind kind = accessOf(copy.kind);
  Allocation known; // that was met last
  GlobalRegion *region = nullptr;
  for (const BulkPiece &piece : copy.pieces) {
    if (!piece.global)
      continue;
    if (!known.contains(piece.global, piece.bytes)) {
      uint64_t addresses[kWarpSize];
      addresses[copy.lane] = piece.global;
      known = checkEachGlobal(warp, LaneMask{1} << copy.lane, addresses, piece.bytes, kind);
    }
    if (kind != AccessKind::Load)
      continue;
    checkWritten(warp, copy.lane, piece, region);
    for (uint32_t byte = 0; byte < piece.bytes; byte += 64) // it is copied later
      __builtin_prefetch(reinterpret_cast<const uint8_t *>(piece.global) + byte, 0, 2);
  }
  if (Observer *observer = warp.block.machine.observer)
    observer->bulkAccess(warp, copy.lane, kind, copy.pieces);
}

Step copyLine(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  forLanes(lanes, [&](int lane) {
    uint32_t bytes = warp.lanes<uint32_t>(instruction.operands[3])[lane];
    uint64_t global = warp.lanes<uint64_t>(instruction.operands[1])[lane];
    if (bytes % 16 || bytes == 0)
      throw Fault(FindingKind::InvalidInstruction,
                  "a bulk copy has a multiple of 16 bytes, not " + std::to_string(bytes), lane);
    if (global % 16)
      throw Fault(FindingKind::Misaligned,
                  "the global address of a bulk copy must be a multiple of 16", lane, global);
    BulkCopy copy = newCopy(warp, instruction, lane, bytes, 16);
    copy.pieces.push_back({copy.range.begin, bytes, global});
    checkGlobal(warp, copy);
    asynchronyOf(warp).issue(std::move(copy));
  });
  return Step::Next;
}

// --- Tensors

/// TMA may have an old copy of a map in global memory until the block acquires it.
void checkAcquired(Warp &warp, int lane, uint64_t address) {
  Asynchrony &asynchrony = asynchronyOf(warp);
  uint64_t &known = asynchrony.acquiredMaps[address];
  uint64_t latest = warp.block.machine.tensorMaps.latest(address);
  if (known < latest)
    asynchrony.flights.report(
        warp, lane, FindingKind::Proxy,
        known ? "the tensor map was changed, and not released and acquired since then"
              : "the tensor map lies in global memory, but no fence.proxy.tensormap::generic."
                "acquire of the block comes before",
        address);
  known = latest; // once is enough
}

TensorMap readMap(Warp &warp, int lane, uint64_t address) {
  const uint8_t *bytes = nullptr;
  const std::vector<uint8_t> &parameters = warp.block.launch.parameters;
  uint64_t plain = address & ~kWindowMask;
  if ((address & kWindowMask) == kParamWindow && plain + TensorMap::kBytes <= parameters.size())
    bytes = parameters.data() + plain;
  else if ((address & kWindowMask) == 0)
    if (std::optional<Allocation> found = warp.block.machine.memory.find(address);
        found && found->contains(address, TensorMap::kBytes)) {
      bytes = reinterpret_cast<const uint8_t *>(address);
      if (!found->isReadOnly)
        checkAcquired(warp, lane, address);
    }
  if (!bytes)
    throw Fault(FindingKind::OutOfBounds,
                "a tensor map lies in parameters, constant or global memory", lane, address);
  if (plain % TensorMap::kAlignment)
    throw Fault(FindingKind::Misaligned, "a tensor map is not aligned to 64 bytes", lane, address);
  std::optional<TensorMap> map = TensorMap::decode(bytes);
  if (!map)
    throw Fault(FindingKind::InvalidInstruction,
                "there is no tensor map, or its bytes were changed", lane, address);
  return *map;
}

/// Eight bytes of what lies outside of the tensor.
uint64_t fillOf(const TensorMap &map) {
  if (!map.fillsWithNan)
    return 0;
  switch (map.element) {
  case TensorMap::Element::F16:
  case TensorMap::Element::BF16:
    return 0x7fff'7fff'7fff'7fff;
  case TensorMap::Element::F64:
    return 0x7fff'ffff'ffff'ffff;
  default:
    return 0x7fff'ffff'7fff'ffff;
  }
}

void addBox(const TensorMap &map, const Coordinates &corner, const Coordinates &offset,
            BulkCopy &copy) {
  constexpr uint32_t kMostOfRow = 3;
  bool isLoad = copy.kind == BulkCopy::Kind::Load;
  copy.swizzle = map.swizzle;
  copy.pieces.resize(kMostOfRow * size_t{map.boxRows()});
  BulkPiece *next = copy.pieces.data();
  auto addRow = [&](const BoxRow &row) {
    auto add = [&](uint32_t begin, uint32_t end, uint64_t global) {
      if (begin < end)
        *next++ = {copy.range.begin + row.offset + begin, end - begin, global};
    };
    if (isLoad)
      add(0, row.validBegin, 0);
    add(row.validBegin, row.validEnd, row.address);
    if (isLoad)
      add(row.validEnd, row.bytes, 0);
  };
  if (map.mode == TensorMap::Mode::Im2col)
    forPixels(map, corner, offset, addRow);
  else
    forBoxRows(map, corner, addRow);
  copy.pieces.resize(static_cast<size_t>(next - copy.pieces.data()));
}

/// The map of a copy, which must be for copies of this kind.
TensorMap mapFor(Warp &warp, const Instruction &instruction, int lane) {
  uint64_t address = warp.lanes<uint64_t>(instruction.operands[1])[lane];
  TensorMap map = readMap(warp, lane, address);
  if (std::string why = map.whyInvalid(); !why.empty()) // kernels may have changed it
    throw Fault(FindingKind::InvalidInstruction, "tensor map: " + why, lane, address);
  bool isIm2col = map.mode == TensorMap::Mode::Im2col;
  if (isIm2col != ((instruction.modifiers & kIm2col) != 0))
    throw Fault(FindingKind::InvalidInstruction,
                std::string("the tensor map is for ") + (isIm2col ? "im2col" : "tiles"), lane);
  if (static_cast<uint32_t>(map.rank) != instruction.modifiers >> kDimensionsShift)
    throw Fault(FindingKind::InvalidInstruction,
                "the tensor map has " + std::to_string(map.rank) + " dimensions", lane);
  return map;
}

Step copyBox(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  forLanes(lanes, [&](int lane) {
    TensorMap map = mapFor(warp, instruction, lane);
    Coordinates corner{}, offset{};
    for (int d = 0; d < map.rank; ++d)
      corner[d] = warp.lanes<int32_t>(instruction.list[d])[lane];
    for (uint32_t number = map.rank; number < instruction.listCount; ++number)
      offset[number - map.rank + 1] =
          static_cast<uint16_t>(warp.lanes<uint32_t>(instruction.list[number])[lane]);
    if (map.mode == TensorMap::Mode::Im2col && !map.isInBoundingBox(corner))
      throw Fault(FindingKind::InvalidInstruction,
                  "the first pixel lies outside of the bounding box", lane);
    BulkCopy copy = newCopy(warp, instruction, lane, map.boxBytes(), 128);
    if (copy.range.begin % patternOf(map.swizzle))
      asynchronyOf(warp).flights.report(
          warp, lane, FindingKind::Misaligned,
          "the box does not begin where the pattern of its swizzle does, at a multiple of " +
              std::to_string(patternOf(map.swizzle)),
          copy.range.begin);
    copy.fill = fillOf(map);
    addBox(map, corner, offset, copy);
    checkGlobal(warp, copy);
    asynchronyOf(warp).issue(std::move(copy));
  });
  return Step::Next;
}

/// Prefetches move nothing, but need a map.
Step prefetchBox(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  forLanes(lanes, [&](int lane) { mapFor(warp, instruction, lane); });
  return Step::Next;
}

Step prefetchLine(Warp &, const Instruction &, LaneMask) { return Step::Next; }

Step commitBulk(Warp &warp, const Instruction &, LaneMask lanes) {
  asynchronyOf(warp).commitBulk(warp, lanes);
  return Step::Next;
}

Step waitForBulk(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  asynchronyOf(warp).waitForBulk(warp, lanes, static_cast<uint32_t>(instruction.immediate),
                                 instruction.modifiers != 0);
  return Step::Next;
}

// --- Decoding

int dimensionsOf(const Decoding &decoding) {
  for (const std::string &modifier : decoding.source.modifiers)
    if (modifier.size() == 2 && modifier[1] == 'd' && modifier[0] >= '1' && modifier[0] <= '5')
      return modifier[0] - '0';
  return 0;
}

/// Reads as many elements of a vector into the list.
void addVector(Decoding &decoding, const ptx::Operand &vector, size_t count, Type type,
               std::string_view what, std::vector<Operand> &list) {
  if (vector.elements.size() != count)
    decoding.fail("needs " + std::to_string(count) + " " + std::string(what));
  for (const ptx::Operand &element : vector.elements)
    list.push_back(decoding.read(element, type));
}

/// Coordinates, and for loads by im2col the offsets, which are the operand `next`.
void tensorOperands(Decoding &decoding, const ptx::Operand &map, bool isLoad, size_t &next) {
  int dimensions = dimensionsOf(decoding);
  bool isIm2col = decoding.has(isLoad ? "im2col" : "im2col_no_offs");
  std::vector<Operand> list;
  if (map.elements.size() != 2)
    decoding.fail("needs a tensor map with coordinates");
  addVector(decoding, map.elements[1], dimensions, Type::S32, "coordinates", list);
  if (isIm2col && dimensions < 3)
    decoding.fail("im2col needs 3 to 5 dimensions");
  if (isIm2col && isLoad)
    addVector(decoding, decoding.operand(next++), dimensions - 2, Type::U16, "offsets", list);
  decoding.setList(std::move(list));
  decoding.out.modifiers |= (isIm2col ? kIm2col : 0) | static_cast<uint32_t>(dimensions)
                                                           << kDimensionsShift;
}

void refuse(Decoding &decoding) {
  for (const std::string &modifier : decoding.source.modifiers) {
    if (modifier.starts_with("im2col::w"))
      decoding.fail("im2col along one dimension needs sm_100a");
    if (modifier == "tile::gather4" || modifier == "tile::scatter4")
      decoding.fail("gather and scatter of tiles need sm_100a");
    if (modifier.starts_with("cta_group"))
      decoding.fail("pairs of blocks need sm_100a");
    if (modifier == "cp_mask" || modifier.starts_with("ignore_oob"))
      decoding.fail("byte masks need sm_100");
  }
}

/// Where the copy goes: the first space that the modifiers name.
BulkCopy::Kind direction(Decoding &decoding) {
  for (const std::string &modifier : decoding.source.modifiers) {
    if (modifier.starts_with("shared"))
      return BulkCopy::Kind::Load;
    if (modifier == "global")
      return decoding.has("reduce") ? BulkCopy::Kind::Reduce : BulkCopy::Kind::Store;
  }
  decoding.unsupported();
}

Handler selectCopy(Decoding &decoding) {
  bool isTensor = decoding.has("tensor");
  BulkCopy::Kind kind = direction(decoding);
  bool isLoad = kind == BulkCopy::Kind::Load;
  decoding.out.modifiers = static_cast<uint32_t>(kind);
  if (isLoad && !decoding.has("global"))
    decoding.fail("copies between blocks of a cluster are not supported");
  if (isLoad && !decoding.has("mbarrier::complete_tx::bytes"))
    decoding.fail("needs .mbarrier::complete_tx::bytes");
  if (kind == BulkCopy::Kind::Reduce)
    decoding.out.immediate = reinterpret_cast<int64_t>(selectBulkReduction(decoding));
  const ptx::Operand &global = decoding.operand(isLoad ? 1 : 0);
  const ptx::Operand &shared = decoding.operand(isLoad ? 0 : 1);
  decoding.out.operands[0] = addressOperand(decoding, shared);
  decoding.out.operands[1] = addressOperand(decoding, global);
  size_t next = 2;
  if (!isTensor)
    decoding.out.operands[3] = decoding.read(next++, Type::U32);
  if (isLoad)
    decoding.out.operands[2] = addressOperand(decoding, decoding.operand(next++));
  if (isTensor)
    tensorOperands(decoding, global, isLoad, next);
  if (decoding.has("multicast::cluster")) {
    decoding.out.operands[4] = decoding.read(next++, Type::U16);
    decoding.out.modifiers |= kMulticast;
  }
  decoding.expectOperands(next + (decoding.has("L2::cache_hint") ? 1 : 0));
  return isTensor ? copyBox : copyLine;
}

} // namespace

Handler selectBulk(Decoding &decoding) {
  usesAsynchrony(decoding, true);
  if (decoding.has("commit_group"))
    return commitBulk;
  if (decoding.has("wait_group")) {
    decoding.out.immediate = decoding.integer(0);
    decoding.out.modifiers = decoding.has("read");
    return waitForBulk;
  }
  refuse(decoding);
  if (!decoding.has("prefetch"))
    return selectCopy(decoding);
  if (!decoding.has("tensor"))
    return prefetchLine;
  size_t next = 1;
  decoding.out.operands[1] = addressOperand(decoding, decoding.operand(0));
  tensorOperands(decoding, decoding.operand(0), true, next);
  return prefetchBox;
}

} // namespace vgpu::VGPU_VARIANT
