#include "ptx/Syntax.h"

#include <algorithm>
#include <array>

namespace vgpu::ptx {
namespace {

struct TypeRow {
  std::string_view name;
  Type type;
  int bytes;
};

constexpr std::array kTypes = {
    TypeRow{"pred", Type::Pred, 0},     TypeRow{"b8", Type::B8, 1},
    TypeRow{"u8", Type::U8, 1},         TypeRow{"s8", Type::S8, 1},
    TypeRow{"b16", Type::B16, 2},       TypeRow{"u16", Type::U16, 2},
    TypeRow{"s16", Type::S16, 2},       TypeRow{"f16", Type::F16, 2},
    TypeRow{"bf16", Type::BF16, 2},     TypeRow{"b32", Type::B32, 4},
    TypeRow{"u32", Type::U32, 4},       TypeRow{"s32", Type::S32, 4},
    TypeRow{"f32", Type::F32, 4},       TypeRow{"tf32", Type::TF32, 4},
    TypeRow{"f16x2", Type::F16x2, 4},   TypeRow{"bf16x2", Type::BF16x2, 4},
    TypeRow{"b64", Type::B64, 8},       TypeRow{"u64", Type::U64, 8},
    TypeRow{"s64", Type::S64, 8},       TypeRow{"f64", Type::F64, 8},
    TypeRow{"b128", Type::B128, 16},    TypeRow{"e4m3", Type::E4M3, 1},
    TypeRow{"e5m2", Type::E5M2, 1},     TypeRow{"e4m3x2", Type::E4M3x2, 2},
    TypeRow{"e5m2x2", Type::E5M2x2, 2},
};

} // namespace

int sizeOf(Type type) {
  for (const TypeRow &row : kTypes)
    if (row.type == type)
      return row.bytes;
  return 0;
}

bool isFloat(Type type) {
  switch (type) {
  case Type::F16:
  case Type::BF16:
  case Type::F32:
  case Type::TF32:
  case Type::F16x2:
  case Type::BF16x2:
  case Type::F64:
  case Type::E4M3x2:
  case Type::E5M2x2:
    return true;
  default:
    return false;
  }
}

bool isSigned(Type type) {
  return type == Type::S8 || type == Type::S16 || type == Type::S32 || type == Type::S64;
}

Type typeNamed(std::string_view name) {
  for (const TypeRow &row : kTypes)
    if (row.name == name)
      return row.type;
  return Type::None;
}

std::string_view nameOf(Type type) {
  for (const TypeRow &row : kTypes)
    if (row.type == type)
      return row.name;
  return "none";
}

bool Instruction::has(std::string_view modifier) const {
  return std::find(modifiers.begin(), modifiers.end(), modifier) != modifiers.end();
}

std::string Instruction::text() const {
  std::string text = opcode;
  for (const std::string &modifier : modifiers)
    text += "." + modifier;
  return text;
}

const Function *Module::function(std::string_view name) const {
  const Function *declaration = nullptr;
  for (const auto &function : functions)
    if (function->name == name) {
      if (function->hasBody)
        return function.get();
      declaration = function.get();
    }
  return declaration;
}

const Variable *Module::variable(std::string_view name) const {
  for (const Variable &variable : variables)
    if (variable.name == name)
      return &variable;
  return nullptr;
}

} // namespace vgpu::ptx
