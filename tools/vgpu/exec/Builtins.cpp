#include "exec/Builtins.h"

#include "exec/Console.h"

#include <array>
#include <bit>
#include <cstdio>

namespace vgpu {
namespace {

/// Reads through a generic address, as a load of the lane would.
void readGeneric(const Warp &warp, int lane, uint64_t address, void *to, uint32_t bytes) {
  uint64_t plain = address & ~kWindowMask;
  auto *out = static_cast<uint8_t *>(to);
  switch (address & kWindowMask) {
  case 0:
    if (std::optional<Allocation> found = warp.block.machine.memory.find(address);
        found && found->contains(address, bytes)) {
      std::memcpy(to, reinterpret_cast<const void *>(address), bytes);
      return;
    }
    break;
  case kSharedWindow:
    if (warp.block.inShared(plain, bytes)) {
      std::memcpy(to, warp.block.shared(static_cast<uint32_t>(plain)), bytes);
      return;
    }
    break;
  case kLocalWindow:
    if (plain + bytes <= warp.local.size() / kWarpSize * 4) {
      for (uint32_t byte = 0; byte < bytes; ++byte) {
        uint64_t at = plain + byte;
        out[byte] = warp.local[at / 4 * kWarpSize + lane] >> 8 * (at % 4);
      }
      return;
    }
    break;
  default:
    break;
  }
  throw Fault(FindingKind::OutOfBounds, "a system call reads memory that does not exist", lane,
              address);
}

std::string readString(const Warp &warp, int lane, uint64_t address) {
  std::string text;
  for (char c; readGeneric(warp, lane, address++, &c, 1), c;)
    text += c;
  return text;
}

uint64_t argument(const Warp &warp, const Instruction &instruction, size_t number, int lane,
                  bool isWide = true) {
  const uint32_t *words = warp.lanes<uint32_t>(instruction.list[number]);
  uint64_t value = words[lane];
  return isWide ? value | uint64_t{words[kWarpSize + lane]} << 32 : value;
}

void setResult(const Warp &warp, const Instruction &instruction, int lane, uint64_t value,
               bool isWide) {
  uint32_t *words = warp.lanes<uint32_t>(instruction.list[0]);
  words[lane] = static_cast<uint32_t>(value);
  if (isWide)
    words[kWarpSize + lane] = static_cast<uint32_t>(value >> 32);
}

/// printf's format, with arguments that lie one after the other at their own
/// alignment.
class Formatter {
public:
  Formatter(const Warp &warp, int lane, std::string format, uint64_t arguments)
      : warp(warp), lane(lane), format(std::move(format)), next(arguments) {}

  std::string run() {
    while (position < format.size()) {
      if (format[position] != '%')
        text += format[position++];
      else
        conversion();
    }
    return text;
  }

  int arguments() const { return count; }

private:
  template <class T> T take() {
    ++count;
    next = (next + sizeof(T) - 1) / sizeof(T) * sizeof(T);
    T value;
    readGeneric(warp, lane, next, &value, sizeof value);
    next += sizeof(T);
    return value;
  }

  template <class T> void append(const std::string &specification, T value) {
    std::array<char, 512> buffer;
    int length = std::snprintf(buffer.data(), buffer.size(), specification.c_str(), value);
    text.append(buffer.data(), std::min<size_t>(std::max(length, 0), buffer.size() - 1));
  }

  void conversion() {
    std::string specification(1, format[position++]);
    int longs = 0;
    while (position < format.size()) {
      char c = format[position++];
      if (c == 'l') {
        ++longs;
      } else if (c == 'j' || c == 'z' || c == 't') {
        longs = 2;
      } else if (c == '*') {
        specification += std::to_string(take<int32_t>());
      } else if (c != 'h') {
        specification += c;
        if (std::string_view("#0- +.123456789").find(c) == std::string_view::npos)
          return convert(specification, c, longs > 0);
      }
    }
    text += specification;
  }

  void convert(std::string specification, char c, bool isLong) {
    switch (c) {
    case '%':
      text += '%';
      return;
    case 'd':
    case 'i':
    case 'u':
    case 'x':
    case 'X':
    case 'o':
      if (!isLong)
        return append(specification, take<int32_t>());
      specification.insert(specification.size() - 1, "ll");
      return append(specification, static_cast<long long>(take<int64_t>()));
    case 'c':
      return append(specification, take<int32_t>());
    case 'p':
      return append(specification, reinterpret_cast<const void *>(take<uint64_t>()));
    case 's': {
      uint64_t address = take<uint64_t>();
      return append(specification, address ? readString(warp, lane, address).c_str() : "(null)");
    }
    default:
      return append(specification, take<double>());
    }
  }

  const Warp &warp;
  int lane;
  std::string format, text;
  size_t position = 0;
  uint64_t next;
  int count = 0;
};

void print(Warp &warp, const Instruction &instruction, int lane) {
  Formatter formatter(warp, lane, readString(warp, lane, argument(warp, instruction, 1, lane)),
                      argument(warp, instruction, 2, lane));
  warp.block.machine.console.print(formatter.run());
  setResult(warp, instruction, lane, static_cast<uint32_t>(formatter.arguments()), false);
}

[[noreturn]] void failAssertion(Warp &warp, const Instruction &instruction, int lane) {
  std::string message = readString(warp, lane, argument(warp, instruction, 0, lane));
  std::string file = readString(warp, lane, argument(warp, instruction, 1, lane));
  uint64_t line = argument(warp, instruction, 2, lane, false);
  throw Fault(FindingKind::Assertion,
              file + ":" + std::to_string(line) + ": assertion '" + message + "' failed", lane);
}

} // namespace

std::optional<Builtin> builtinNamed(std::string_view name) {
  if (name == "vprintf")
    return Builtin::Printf;
  if (name == "malloc")
    return Builtin::Malloc;
  if (name == "free")
    return Builtin::Free;
  if (name == "__assertfail")
    return Builtin::AssertFail;
  return std::nullopt;
}

void callBuiltin(Builtin builtin, Warp &warp, const Instruction &instruction, LaneMask lanes) {
  DeviceMemory &memory = warp.block.machine.memory;
  for (LaneMask rest = lanes; rest; rest &= rest - 1) {
    int lane = std::countr_zero(rest);
    switch (builtin) {
    case Builtin::Printf:
      print(warp, instruction, lane);
      break;
    case Builtin::Malloc: {
      uint64_t address =
          memory.allocateHeap(argument(warp, instruction, 1, lane), warp.block.machine.heapBytes);
      setResult(warp, instruction, lane, address, true);
      break;
    }
    case Builtin::Free: {
      uint64_t address = argument(warp, instruction, 0, lane);
      if (address && !memory.release(address))
        throw Fault(FindingKind::InvalidInstruction, "frees what malloc did not give", lane,
                    address);
      break;
    }
    case Builtin::AssertFail:
      failAssertion(warp, instruction, lane);
    }
  }
}

} // namespace vgpu
