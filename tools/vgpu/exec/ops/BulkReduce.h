#pragma once
// What cp.reduce.async.bulk does to each element of global memory.

#include "exec/Asynchrony.h"
#include "exec/ops/Half.h"
#include "program/Decoding.h"

#include <algorithm>

namespace vgpu::VGPU_VARIANT {
namespace {

enum class BulkOp : uint8_t { Add, Min, Max, And, Or, Xor, Increment, Decrement };

template <class T> T combine(BulkOp op, T old, T value) {
  if constexpr (std::is_integral_v<T>) {
    switch (op) {
    case BulkOp::And:
      return old & value;
    case BulkOp::Or:
      return old | value;
    case BulkOp::Xor:
      return old ^ value;
    case BulkOp::Increment:
      return old >= value ? T{0} : static_cast<T>(old + 1);
    case BulkOp::Decrement:
      return old == 0 || old > value ? value : static_cast<T>(old - 1);
    default:
      break;
    }
  }
  if (op == BulkOp::Min)
    return std::min(old, value);
  if (op == BulkOp::Max)
    return std::max(old, value);
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(static_cast<std::make_unsigned_t<T>>(old) +
                          static_cast<std::make_unsigned_t<T>>(value));
  else
    return old + value;
}

template <class T, BulkOp op>
void reduceBytes(uint8_t *global, const uint8_t *shared, uint32_t bytes) {
  for (uint32_t at = 0; at + sizeof(T) <= bytes; at += sizeof(T)) {
    T old, value;
    std::memcpy(&old, global + at, sizeof old);
    std::memcpy(&value, shared + at, sizeof value);
    T result;
    if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, Bfloat>)
      result = fromFloat<T>(combine(op, toFloat(old), toFloat(value)));
    else
      result = combine(op, old, value);
    std::memcpy(global + at, &result, sizeof result);
  }
}

template <class T> BulkReduction reductionOf(BulkOp op) {
  constexpr BulkReduction table[] = {
      reduceBytes<T, BulkOp::Add>,       reduceBytes<T, BulkOp::Min>,
      reduceBytes<T, BulkOp::Max>,       reduceBytes<T, BulkOp::And>,
      reduceBytes<T, BulkOp::Or>,        reduceBytes<T, BulkOp::Xor>,
      reduceBytes<T, BulkOp::Increment>, reduceBytes<T, BulkOp::Decrement>};
  return table[static_cast<int>(op)];
}

template <class T> BulkReduction floatReductionOf(Decoding &decoding, BulkOp op) {
  switch (op) {
  case BulkOp::Add:
    return reduceBytes<T, BulkOp::Add>;
  case BulkOp::Min:
    return reduceBytes<T, BulkOp::Min>;
  case BulkOp::Max:
    return reduceBytes<T, BulkOp::Max>;
  default:
    decoding.unsupported();
  }
}

inline BulkReduction selectBulkReduction(Decoding &decoding) {
  constexpr std::pair<std::string_view, BulkOp> names[] = {
      {"add", BulkOp::Add},       {"min", BulkOp::Min},      {"max", BulkOp::Max},
      {"and", BulkOp::And},       {"or", BulkOp::Or},        {"xor", BulkOp::Xor},
      {"inc", BulkOp::Increment}, {"dec", BulkOp::Decrement}};
  const auto *found = std::find_if(std::begin(names), std::end(names),
                                   [&](auto entry) { return decoding.has(entry.first); });
  if (found == std::end(names))
    decoding.unsupported();
  BulkOp op = found->second;
  using ptx::Type;
  switch (decoding.type()) {
  case Type::U32:
  case Type::B32:
    return reductionOf<uint32_t>(op);
  case Type::S32:
    return reductionOf<int32_t>(op);
  case Type::U64:
  case Type::B64:
    return reductionOf<uint64_t>(op);
  case Type::S64:
    return reductionOf<int64_t>(op);
  case Type::F16:
    return floatReductionOf<Half>(decoding, op);
  case Type::BF16:
    return floatReductionOf<Bfloat>(decoding, op);
  case Type::F32:
    return floatReductionOf<float>(decoding, op);
  case Type::F64:
    return floatReductionOf<double>(decoding, op);
  default:
    decoding.unsupported();
  }
}

} // namespace
} // namespace vgpu::VGPU_VARIANT
