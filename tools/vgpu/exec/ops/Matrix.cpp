// mma, and the instructions that move the 8 × 8 matrices it works on: ldmatrix,
// stmatrix, movmatrix.
#include "exec/ops/Families.h"
#include "exec/ops/MemoryPath.h"
#include "exec/ops/UsualRows.h"
#include "program/Requirements.h"
#include "tensor/Arithmetic.h"
#include "tensor/Plan.h"

namespace vgpu::VGPU_VARIANT {
namespace {

using ptx::Type;

void requireWholeWarp(LaneMask lanes) {
  if (lanes != kAllLanes)
    throw Fault(FindingKind::BarrierDivergence,
                "only " + std::to_string(std::popcount(lanes)) +
                    " of 32 lanes execute it, but it needs the whole warp");
}

// --- mma

/// The list holds the registers of D, A, B and C.
Step multiply(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  requireWholeWarp(lanes);
  if (warp.block.machine.skipsTensorArithmetic)
    return Step::Next;
  const auto &plan = *reinterpret_cast<const tensor::Plan *>(instruction.immediate);
  uint32_t *registers[64];
  VGPU_LANES
  for (uint32_t number = 0; number < instruction.listCount; ++number)
    registers[number] = warp.lanes<uint32_t>(instruction.list[number]);
  uint32_t *const *a = registers + plan.registersOfD;
  uint32_t *const *b = a + plan.registersOfA;
  uint32_t *const *c = b + plan.registersOfB;
  tensor::arithmetic().mma(plan.form, plan.order, a, b, c, registers);
  return Step::Next;
}

tensor::Form formOf(const Decoding &decoding) {
  tensor::Form form;
  std::vector<tensor::Format> formats;
  std::vector<std::string_view> layouts;
  bool hasShape = false;
  for (const std::string &modifier : decoding.source.modifiers) {
    if (std::optional<tensor::Format> format = tensor::formatNamed(modifier))
      formats.push_back(*format);
    else if (modifier == "row" || modifier == "col")
      layouts.push_back(modifier);
    else if (modifier[0] == 'm')
      hasShape |= tensor::parseShape(modifier, form);
  }
  if (!hasShape || formats.size() != 4 || layouts.size() != 2)
    decoding.fail("needs a shape, two layouts and four types");
  form.d = formats[0], form.a = formats[1], form.b = formats[2], form.c = formats[3];
  form.isARowMajor = layouts[0] == "row";
  form.isBRowMajor = layouts[1] == "row";
  form.saturates = decoding.has("satfinite");
  form.isAnd = decoding.has("and");
  return form;
}

void addRegisters(Decoding &decoding, size_t number, tensor::Format format, int count,
                  bool isWritten, std::vector<Operand> &list) {
  auto elements = decoding.elements(number);
  if (elements.size() != static_cast<size_t>(count))
    decoding.fail("operand " + std::to_string(number + 1) + " has " +
                  std::to_string(elements.size()) + " registers, but needs " +
                  std::to_string(count));
  Type type = format == tensor::Format::F64 ? Type::F64 : Type::B32;
  for (const ptx::Operand *element : elements)
    list.push_back(isWritten ? decoding.write(*element, type) : decoding.read(*element, type));
}

Handler selectMultiply(Decoding &decoding) {
  decoding.out.kind = InstructionClass::Tensor;
  if (decoding.has("sp") || decoding.has("sp::ordered_metadata"))
    decoding.fail("sparse matrix products are not supported");
  if (decoding.has("block_scale"))
    decoding.fail("block scales need sm_120a, which is not supported");
  decoding.expectOperands(4);
  tensor::Plan plan;
  plan.form = formOf(decoding);
  const tensor::Form &form = plan.form;
  if (std::string why = whyNoMma(form); !why.empty())
    decoding.fail(why);
  auto [chip, version] = originOf(form);
  if (std::string missing = missingFor({chip, version}, decoding.builder.module); !missing.empty())
    decoding.fail(missing);
  std::vector<Operand> list;
  addRegisters(decoding, 0, form.d, form.registersOf(form.d), true, list);
  addRegisters(decoding, 1, form.a, form.registersOfA(), false, list);
  addRegisters(decoding, 2, form.b, form.registersOfB(), false, list);
  addRegisters(decoding, 3, form.c, form.registersOf(form.c), false, list);
  decoding.setList(std::move(list));
  decoding.out.immediate = reinterpret_cast<int64_t>(&tensor::keep(plan));
  return multiply;
}

Handler selectWmma(Decoding &decoding) {
  decoding.fail("wmma is not supported: its fragments are opaque; use mma.sync with ldmatrix");
}

// --- 8 × 8 matrices of 16-bit elements: lane 4 g + t holds elements 2 t and
// 2 t + 1 of row g, so a row of 16 bytes lies in four neighbouring lanes.

/// The matrix in 32 words becomes its transpose, in three steps that each
/// interleave the rows of the upper half with those of the lower.
void transpose(const uint32_t *from, uint32_t *to) {
  typedef uint16_t Row __attribute__((vector_size(16)));
  Row rows[8], next[8];
  std::memcpy(rows, from, sizeof rows);
  for (int step = 0; step < 3; ++step) {
    for (int row = 0; row < 4; ++row) {
      next[2 * row] = __builtin_shufflevector(rows[row], rows[row + 4], 0, 8, 1, 9, 2, 10, 3, 11);
      next[2 * row + 1] =
          __builtin_shufflevector(rows[row], rows[row + 4], 4, 12, 5, 13, 6, 14, 7, 15);
    }
    std::copy(std::begin(next), std::end(next), std::begin(rows));
  }
  std::memcpy(to, rows, sizeof rows);
}

enum : uint32_t { kTransposed = 1 };

/// Addresses of rows come from the first 8 lanes of each matrix.
LaneMask rowLanes(uint32_t matrices) {
  return matrices == 4 ? kAllLanes : (LaneMask{1} << 8 * matrices) - 1;
}

void accessRows(Warp &warp, const Instruction &instruction, AccessKind kind, Accessed &accessed) {
  LaneMask lanes = rowLanes(instruction.listCount);
  if (instruction.memory.space == ptx::Space::Generic) {
    computeAddresses(warp, instruction, 0, lanes, accessed);
    forLanes(lanes, [&](int lane) {
      if ((accessed.addresses[lane] & kWindowMask) != kSharedWindow)
        throw Fault(FindingKind::InvalidInstruction, "the address is not in shared memory", lane,
                    accessed.addresses[lane]);
    });
  }
  access(warp, instruction, 0, lanes, kind, accessed);
}

/// From rows of which number `row` lies at `at(row)`.
template <class At> void copyRows(Warp &warp, const Instruction &instruction, At at) {
  auto copyMatrix = [&](uint32_t matrix, uint32_t *to) {
    for (uint32_t row = 0; row < 8; ++row)
      std::memcpy(to + 4 * row, at(8 * matrix + row), 16);
  };
  for (uint32_t matrix = 0; matrix < instruction.listCount; ++matrix) {
    uint32_t *to = warp.lanes<uint32_t>(instruction.list[matrix]);
    if (instruction.modifiers & kTransposed) {
      alignas(64) uint32_t words[kWarpSize];
      copyMatrix(matrix, words);
      transpose(words, to);
    } else {
      copyMatrix(matrix, to);
    }
  }
}

[[gnu::noinline]] void loadUnusualRows(Warp &warp, const Instruction &instruction) {
  Accessed accessed;
  accessRows(warp, instruction, AccessKind::Load, accessed);
  copyRows(warp, instruction, [&](uint32_t row) { return accessed.of(static_cast<int>(row)); });
}

/// operands: address; the list holds the destinations.
Step loadMatrices(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  requireWholeWarp(lanes);
  const uint32_t *rows = readUsualRows(warp, instruction, 8 * instruction.listCount);
  if (!rows) [[unlikely]] {
    loadUnusualRows(warp, instruction);
    return Step::Next;
  }
  const uint8_t *shared = warp.block.shared(0);
  copyRows(warp, instruction, [&](uint32_t row) { return shared + rows[row]; });
  return Step::Next;
}

Step storeMatrices(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  requireWholeWarp(lanes);
  Accessed accessed;
  accessRows(warp, instruction, AccessKind::Store, accessed);
  for (uint32_t matrix = 0; matrix < instruction.listCount; ++matrix) {
    const uint32_t *from = warp.lanes<uint32_t>(instruction.list[matrix]);
    alignas(64) uint32_t words[kWarpSize];
    if (instruction.modifiers & kTransposed)
      transpose(from, words);
    else
      std::memcpy(words, from, sizeof words);
    for (uint32_t row = 0; row < 8; ++row)
      std::memcpy(accessed.of(static_cast<int>(8 * matrix + row)), words + 4 * row, 16);
  }
  return Step::Next;
}

Step moveMatrix(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  requireWholeWarp(lanes);
  alignas(64) uint32_t words[kWarpSize];
  transpose(warp.lanes<uint32_t>(instruction.operands[1]), words);
  std::memcpy(warp.lanes<uint32_t>(instruction.operands[0]), words, sizeof words);
  return Step::Next;
}

void matrixForm(Decoding &decoding, size_t registers, size_t address, bool isWritten) {
  if (!decoding.has("m8n8") || !decoding.has("b16"))
    decoding.fail("only .m8n8 of .b16 is supported: other shapes need sm_100a");
  uint32_t count = decoding.has("x4") ? 4 : decoding.has("x2") ? 2 : decoding.has("x1") ? 1 : 0;
  if (!count)
    decoding.fail("needs .x1, .x2 or .x4");
  decoding.expectOperands(2);
  decoding.memoryForm();
  decoding.out.memory.elementBytes = 16;
  if (decoding.has("trans"))
    decoding.out.modifiers |= kTransposed;
  std::vector<Operand> list;
  addRegisters(decoding, registers, tensor::Format::F32, static_cast<int>(count), isWritten, list);
  decoding.address(address, 0);
  decoding.setList(std::move(list));
}

Handler selectLoadMatrices(Decoding &decoding) {
  decoding.out.kind = InstructionClass::Load;
  matrixForm(decoding, 0, 1, true);
  return loadMatrices;
}

Handler selectStoreMatrices(Decoding &decoding) {
  decoding.out.kind = InstructionClass::Store;
  matrixForm(decoding, 1, 0, false);
  return storeMatrices;
}

Handler selectMoveMatrix(Decoding &decoding) {
  decoding.out.kind = InstructionClass::Shuffle;
  decoding.expectOperands(2);
  if (!decoding.has("m8n8") || !decoding.has("trans") || !decoding.has("b16"))
    decoding.unsupported();
  decoding.out.operands[0] = decoding.write(0, Type::B32);
  decoding.out.operands[1] = decoding.read(1, Type::B32);
  return moveMatrix;
}

} // namespace

void addMatrix(SelectorTable &table) {
  table["mma"] = selectMultiply;
  table["wmma"] = selectWmma;
  table["ldmatrix"] = selectLoadMatrices;
  table["stmatrix"] = selectStoreMatrices;
  table["movmatrix"] = selectMoveMatrix;
}

} // namespace vgpu::VGPU_VARIANT
