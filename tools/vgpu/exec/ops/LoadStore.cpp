// ld, st, and the hints that move nothing.
#include "exec/ops/Families.h"
#include "exec/ops/MemoryPath.h"
#include "exec/ops/UsualAccess.h"

namespace vgpu::VGPU_VARIANT {
namespace {

using ptx::Type;

// A value of type T goes to a register of type D by conversion, which extends
// the sign of signed T.

template <class T> T readElement(const uint8_t *bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

void spinningYields(Warp &warp, const Instruction &instruction) {
  if (instruction.memory.order != Order::Weak) [[unlikely]]
    warp.yield(32);
}

/// All lanes, from bytes that follow each other.
template <class T, class D>
[[gnu::always_inline]] inline void loadOneInOrder(Warp &warp, Operand to, const uint8_t *from) {
  eachLane(warp.lanes<Storage<D>>(to), kAllLanes,
           [=](int lane) { return Storage<D>(D(readElement<T>(from + lane * sizeof(T)))); });
}

template <class T, class D>
void loadInOrder(Warp &warp, const Instruction &instruction, const uint8_t *from) {
  uint32_t elements = instruction.listCount;
  if (elements == 1)
    return loadOneInOrder<T, D>(warp, instruction.list[0], from);
  size_t stride = elements * sizeof(T);
  for (uint32_t element = 0; element < elements; ++element) {
    auto *to = warp.lanes<Storage<D>>(instruction.list[element]);
    const uint8_t *first = from + element * sizeof(T);
    for (int lane = 0; lane < kWarpSize; ++lane)
      to[lane] = Storage<D>(D(readElement<T>(first + lane * stride)));
  }
}

template <class T>
[[gnu::always_inline]] inline void storeOneInOrder(Warp &warp, Operand from, uint8_t *to) {
  const auto *stored = warp.lanes<Storage<T>>(from);
  T values[kWarpSize];
  VGPU_LANES
  for (int lane = 0; lane < kWarpSize; ++lane)
    values[lane] = T(stored[lane]);
  std::memcpy(to, values, sizeof values);
}

template <class T> void storeInOrder(Warp &warp, const Instruction &instruction, uint8_t *to) {
  uint32_t elements = instruction.listCount;
  if (elements == 1)
    return storeOneInOrder<T>(warp, instruction.list[0], to);
  size_t stride = elements * sizeof(T);
  for (uint32_t element = 0; element < elements; ++element) {
    const auto *from = warp.lanes<Storage<T>>(instruction.list[element]);
    uint8_t *first = to + element * sizeof(T);
    for (int lane = 0; lane < kWarpSize; ++lane) {
      T value = T(from[lane]);
      std::memcpy(first + lane * stride, &value, sizeof value);
    }
  }
}

template <class T, class D>
[[gnu::noinline]] void loadApart(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  Accessed accessed;
  access(warp, instruction, 0, lanes, AccessKind::Load, accessed);
  spinningYields(warp, instruction);
  if (accessed.isContiguous)
    return loadInOrder<T, D>(warp, instruction, accessed.bytes[0]);
  for (uint32_t element = 0; element < instruction.listCount; ++element) {
    auto *to = warp.lanes<Storage<D>>(instruction.list[element]);
    forLanes(lanes, [&](int lane) {
      to[lane] = Storage<D>(D(readElement<T>(accessed.bytes[lane] + element * sizeof(T))));
    });
  }
}

/// Whether it was done: all lanes, from anywhere.
template <class T, class D>
[[gnu::noinline]] bool loadUsualApart(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  uint64_t addresses[kWarpSize];
  if (!usualLoadApart(warp, instruction, 0, lanes, addresses))
    return false;
  for (uint32_t element = 0; element < instruction.listCount; ++element) {
    auto *to = warp.lanes<Storage<D>>(instruction.list[element]);
    for (int lane = 0; lane < kWarpSize; ++lane) {
      const auto *from = reinterpret_cast<const uint8_t *>(addresses[lane]);
      to[lane] = Storage<D>(D(readElement<T>(from + element * sizeof(T))));
    }
  }
  return true;
}

/// Whether it was done: by all lanes, to anywhere.
template <class T>
[[gnu::noinline]] bool storeUsualApart(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  uint64_t addresses[kWarpSize];
  if (!usualStoreApart(warp, instruction, lanes, addresses))
    return false;
  for (uint32_t element = 0; element < instruction.listCount; ++element) {
    const auto *from = warp.lanes<Storage<T>>(instruction.list[element]);
    for (int lane = 0; lane < kWarpSize; ++lane) {
      T value = T(from[lane]);
      std::memcpy(reinterpret_cast<uint8_t *>(addresses[lane]) + element * sizeof(T), &value,
                  sizeof value);
    }
  }
  return true;
}

template <class T>
[[gnu::noinline]] void storeApart(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  Accessed accessed;
  access(warp, instruction, 0, lanes, AccessKind::Store, accessed);
  if (accessed.isContiguous)
    return storeInOrder<T>(warp, instruction, accessed.bytes[0]);
  for (uint32_t element = 0; element < instruction.listCount; ++element) {
    const auto *from = warp.lanes<Storage<T>>(instruction.list[element]);
    forLanes(lanes, [&](int lane) {
      T value = T(from[lane]);
      std::memcpy(accessed.bytes[lane] + element * sizeof(T), &value, sizeof value);
    });
  }
  finish(warp, instruction, accessed);
}

/// Operand 0 is the address; the list holds the destinations.
template <class T, class D> Step load(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  if (const uint8_t *from = usualAccess<AccessKind::Load>(warp, instruction, lanes)) [[likely]]
    loadInOrder<T, D>(warp, instruction, from);
  else if (!loadUsualApart<T, D>(warp, instruction, lanes))
    loadApart<T, D>(warp, instruction, lanes);
  return Step::Next;
}

/// Where isPlainGlobal.
template <class T, class D>
Step loadGlobal(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  if (const uint8_t *from = usualGlobalAccess<AccessKind::Load, T>(warp, instruction, lanes))
    loadOneInOrder<T, D>(warp, instruction.list[0], from);
  else if (!loadUsualApart<T, D>(warp, instruction, lanes))
    loadApart<T, D>(warp, instruction, lanes);
  return Step::Next;
}

template <class T> Step store(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  if (uint8_t *to = usualAccess<AccessKind::Store>(warp, instruction, lanes)) [[likely]]
    storeInOrder<T>(warp, instruction, to);
  else if (!storeUsualApart<T>(warp, instruction, lanes))
    storeApart<T>(warp, instruction, lanes);
  return Step::Next;
}

template <class T> Step storeGlobal(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  if (uint8_t *to = usualGlobalAccess<AccessKind::Store, T>(warp, instruction, lanes)) [[likely]]
    storeOneInOrder<T>(warp, instruction.list[0], to);
  else if (!storeUsualApart<T>(warp, instruction, lanes))
    storeApart<T>(warp, instruction, lanes);
  return Step::Next;
}

/// ld.param of a kernel's parameter by name: the same for all lanes.
template <class T, class D>
Step loadParameter(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  const std::vector<uint8_t> &parameters = warp.block.launch.parameters;
  auto offset = static_cast<uint64_t>(instruction.immediate);
  if (offset + instruction.memory.bytes() > parameters.size())
    faultParameter(warp, std::countr_zero(lanes), offset, instruction.memory.bytes());
  for (uint32_t element = 0; element < instruction.listCount; ++element) {
    auto value = Storage<D>(D(readElement<T>(&parameters[offset + element * sizeof(T)])));
    eachLane(warp.lanes<Storage<D>>(instruction.list[element]), lanes, [=](int) { return value; });
  }
  return Step::Next;
}

// --- Parameters of device functions lie in the frame, a word of 32 lanes for
// each 4 bytes. Operand 0 is the first word of the variable.

uint32_t *frameWords(Warp &warp, const Instruction &instruction, uint64_t offset) {
  return warp.lanes<uint32_t>(instruction.operands[0]) + offset / 4 * kWarpSize;
}

template <class T, class D>
Step loadFrame(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  for (uint32_t element = 0; element < instruction.listCount; ++element) {
    uint64_t offset = static_cast<uint64_t>(instruction.immediate) + element * sizeof(T);
    const uint32_t *words = frameWords(warp, instruction, offset);
    eachLane(warp.lanes<Storage<D>>(instruction.list[element]), lanes, [=](int lane) {
      uint64_t bits = words[lane];
      if (sizeof(T) == 8)
        bits |= uint64_t{words[kWarpSize + lane]} << 32;
      return Storage<D>(D(T(bits >> 8 * (offset % 4))));
    });
  }
  return Step::Next;
}

template <class T> Step storeFrame(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  for (uint32_t element = 0; element < instruction.listCount; ++element) {
    uint64_t offset = static_cast<uint64_t>(instruction.immediate) + element * sizeof(T);
    uint32_t *words = frameWords(warp, instruction, offset);
    const auto *from = warp.lanes<Storage<T>>(instruction.list[element]);
    int shift = static_cast<int>(8 * (offset % 4));
    uint32_t mask = sizeof(T) >= 4 ? ~0u : ((1u << 8 * (sizeof(T) & 3)) - 1) << shift;
    forLanes(lanes, [&](int lane) {
      words[lane] = (words[lane] & ~mask) | (static_cast<uint32_t>(from[lane]) << shift & mask);
      if constexpr (sizeof(T) == 8)
        words[kWarpSize + lane] = static_cast<uint32_t>(from[lane] >> 32);
    });
  }
  return Step::Next;
}

// --- Decoding

template <template <class, class> class Make, class T> Handler byRegister(int bytes) {
  switch (bytes) {
  case 8:
    return Make<T, uint64_t>::handler;
  case 4:
    return Make<T, uint32_t>::handler;
  case 2:
    return Make<T, uint16_t>::handler;
  default:
    return Make<T, uint8_t>::handler;
  }
}

template <template <class, class> class Make>
Handler byTypes(Decoding &decoding, Type type, int registerBytes) {
  switch (type) {
  case Type::S8:
    return byRegister<Make, int8_t>(registerBytes);
  case Type::S16:
    return byRegister<Make, int16_t>(registerBytes);
  case Type::S32:
    return byRegister<Make, int32_t>(registerBytes);
  default:
    break;
  }
  switch (ptx::sizeOf(type)) {
  case 1:
    return byRegister<Make, uint8_t>(registerBytes);
  case 2:
    return byRegister<Make, uint16_t>(registerBytes);
  case 4:
    return byRegister<Make, uint32_t>(registerBytes);
  case 8:
    return byRegister<Make, uint64_t>(registerBytes);
  default:
    decoding.unsupported();
  }
}

template <class T, class D> struct Load {
  static constexpr Handler handler = load<T, D>;
};
template <class T, class D> struct LoadGlobal {
  static constexpr Handler handler = loadGlobal<T, D>;
};
template <class T, class D> struct LoadParameter {
  static constexpr Handler handler = loadParameter<T, D>;
};
template <class T, class D> struct LoadFrame {
  static constexpr Handler handler = loadFrame<T, D>;
};

template <template <class> class Make> Handler byBytes(Decoding &decoding, Type type) {
  switch (ptx::sizeOf(type)) {
  case 1:
    return Make<uint8_t>::handler;
  case 2:
    return Make<uint16_t>::handler;
  case 4:
    return Make<uint32_t>::handler;
  case 8:
    return Make<uint64_t>::handler;
  default:
    decoding.unsupported();
  }
}
template <class T> struct Store {
  static constexpr Handler handler = store<T>;
};
template <class T> struct StoreGlobal {
  static constexpr Handler handler = storeGlobal<T>;
};
template <class T> struct StoreFrame {
  static constexpr Handler handler = storeFrame<T>;
};

/// Registers of an access: those of one width, which may exceed the type's. A
/// 128-bit value is two halves.
int dataRegisters(Decoding &decoding, size_t number, Type &type, bool isStore) {
  std::vector<Operand> list;
  int registerBytes = ptx::sizeOf(type);
  for (const ptx::Operand *element : decoding.elements(number)) {
    if (element->kind == ptx::Operand::Kind::Register && element->index >= 0) {
      registerBytes = decoding.bytesOf(*element, type);
      if (decoding.isPredicate(*element) || registerBytes < ptx::sizeOf(type))
        decoding.fail("register " + element->name + " is too narrow");
      list.push_back(decoding.builder.registerOperand(element->index));
    } else {
      list.push_back(isStore ? decoding.read(*element, type) : decoding.write(*element, type));
    }
    if (type == Type::B128)
      list.push_back({list.back().word + 2 * kWarpSize});
  }
  if (type == Type::B128) {
    type = Type::B64;
    registerBytes = 8;
  }
  decoding.out.memory.elementBytes = static_cast<uint8_t>(ptx::sizeOf(type));
  decoding.out.memory.elements = static_cast<uint8_t>(list.size());
  decoding.setList(std::move(list));
  return registerBytes;
}

/// A variable or parameter of a call that lives in the frame, or -1.
int frameVariable(const Decoding &decoding, size_t number) {
  const ptx::Operand &base = decoding.operand(number).elements.at(0);
  if (base.kind != ptx::Operand::Kind::Variable)
    return -1;
  return decoding.builder.parameterWord(base.index) >= 0 ? base.index : -1;
}

void frameAddress(Decoding &decoding, size_t number, int variable) {
  const ptx::Operand &address = decoding.operand(number);
  uint64_t end = static_cast<uint64_t>(address.offset) + decoding.out.memory.bytes();
  if (address.offset < 0 || end > decoding.builder.source.variables[variable].bytes())
    decoding.fail("is outside of parameter " + decoding.builder.source.variables[variable].name);
  decoding.out.operands[0] = {decoding.builder.parameterWord(variable)};
  decoding.out.immediate = address.offset;
}

void expectVector(Decoding &decoding) {
  uint32_t wanted = 1;
  for (const std::string &modifier : decoding.source.modifiers)
    if (modifier == "v2" || modifier == "v4" || modifier == "v8")
      wanted = static_cast<uint32_t>(modifier[1] - '0');
  bool isWide = decoding.type() == Type::B128;
  if (decoding.out.listCount != wanted * (isWide ? 2 : 1))
    decoding.fail("needs " + std::to_string(wanted) + " registers");
}

Handler selectLoad(Decoding &decoding) {
  decoding.expectOperands(2, 3); // a cache policy may follow
  decoding.out.kind = InstructionClass::Load;
  Type type = decoding.type();
  decoding.out.type = type;
  decoding.memoryForm();
  int registerBytes = dataRegisters(decoding, 0, type, false);
  expectVector(decoding);
  if (decoding.out.memory.space == ptx::Space::Param) {
    if (int variable = frameVariable(decoding, 1); variable >= 0) {
      frameAddress(decoding, 1, variable);
      return byTypes<LoadFrame>(decoding, type, registerBytes);
    }
    const ptx::Operand &address = decoding.operand(1);
    if (address.elements.at(0).kind == ptx::Operand::Kind::Variable) {
      decoding.out.immediate =
          decoding.builder.program.parameterOffsets[address.elements[0].index] + address.offset;
      return byTypes<LoadParameter>(decoding, type, registerBytes);
    }
  }
  decoding.address(1, 0);
  if (isPlainGlobal(decoding.out.memory))
    return byTypes<LoadGlobal>(decoding, type, registerBytes);
  return byTypes<Load>(decoding, type, registerBytes);
}

Handler selectStore(Decoding &decoding) {
  if (decoding.has("async"))
    return selectAsyncStore(decoding);
  decoding.expectOperands(2, 3);
  if (decoding.has("bulk"))
    decoding.unsupported();
  decoding.out.kind = InstructionClass::Store;
  Type type = decoding.type();
  decoding.out.type = type;
  decoding.memoryForm();
  dataRegisters(decoding, 1, type, true);
  expectVector(decoding);
  if (decoding.out.memory.space == ptx::Space::Param) {
    int variable = frameVariable(decoding, 0);
    if (variable < 0)
      decoding.fail("cannot write a kernel's parameter");
    frameAddress(decoding, 0, variable);
    return byBytes<StoreFrame>(decoding, type);
  }
  if (decoding.out.memory.space == ptx::Space::Const)
    decoding.fail("cannot write constant memory");
  decoding.address(0, 0);
  if (isPlainGlobal(decoding.out.memory))
    return byBytes<StoreGlobal>(decoding, type);
  return byBytes<Store>(decoding, type);
}

Step nothing(Warp &, const Instruction &, LaneMask) { return Step::Next; }

/// Hints to caches do nothing here.
Handler selectHint(Decoding &decoding) {
  decoding.out.kind = InstructionClass::Load;
  return nothing;
}

/// What is discarded is as if nobody had written it.
Step discard(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  uint64_t addresses[kWarpSize];
  uint32_t bytes = instruction.memory.bytes();
  const auto *given = warp.lanes<uint64_t>(instruction.operands[0]);
  forLanes(lanes, [&](int lane) {
    addresses[lane] = given[lane] + static_cast<uint64_t>(instruction.immediate);
    if (addresses[lane] % bytes)
      throw Fault(FindingKind::Misaligned,
                  "the address must be a multiple of " + std::to_string(bytes), lane,
                  addresses[lane]);
  });
  checkEachGlobal(warp, lanes, addresses, bytes, AccessKind::Store);
  DeviceMemory &memory = warp.block.machine.memory;
  forLanes(lanes, [&](int lane) {
    if (memory.isTracked(addresses[lane]))
      memory.clearInitialized(addresses[lane], bytes);
  });
  return Step::Next;
}

Handler selectDiscard(Decoding &decoding) {
  decoding.out.kind = InstructionClass::Store;
  decoding.expectOperands(2);
  decoding.memoryForm();
  if (decoding.integer(1) != 128)
    decoding.fail("discards 128 bytes, and no others");
  decoding.out.memory.elementBytes = 128;
  decoding.address(0, 0);
  if (decoding.out.memory.isAddress32)
    decoding.fail("needs a 64-bit address");
  return discard;
}

/// A cache policy is a number that only hints read.
Step createPolicy(Warp &warp, const Instruction &instruction, LaneMask lanes) {
  eachLane(warp.lanes<uint64_t>(instruction.operands[0]), lanes, [](int) { return uint64_t{0}; });
  return Step::Next;
}

Handler selectCreatePolicy(Decoding &decoding) {
  decoding.out.operands[0] = decoding.write(0, Type::B64);
  return createPolicy;
}

} // namespace

void addLoadStore(SelectorTable &table) {
  table["ld"] = selectLoad;
  table["ldu"] = selectLoad;
  table["st"] = selectStore;
  table["prefetch"] = selectHint;
  table["prefetchu"] = selectHint;
  table["discard"] = selectDiscard;
  table["applypriority"] = selectHint;
  table["createpolicy"] = selectCreatePolicy;
}

} // namespace vgpu::VGPU_VARIANT
