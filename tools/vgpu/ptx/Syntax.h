#pragma once
// PTX after parsing: names of registers, labels and variables are resolved,
// instructions are still text (opcode and modifiers).

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace vgpu::ptx {

enum class Type : uint8_t {
  None,
  Pred,
  B8,
  U8,
  S8,
  B16,
  U16,
  S16,
  F16,
  BF16,
  B32,
  U32,
  S32,
  F32,
  TF32,
  F16x2,
  BF16x2,
  B64,
  U64,
  S64,
  F64,
  B128,
  E4M3,
  E5M2,
  E4M3x2,
  E5M2x2, // minifloats: one and two to a register
};

/// Bytes of one value in memory; a predicate has none.
int sizeOf(Type type);
bool isFloat(Type type);
bool isSigned(Type type);
/// The type that a modifier such as "f32" names, or None.
Type typeNamed(std::string_view name);
std::string_view nameOf(Type type);

enum class Space : uint8_t { Generic, Global, Shared, Local, Param, Const };

/// A variable in memory, or a parameter of a function.
struct Variable {
  std::string name;
  Space space = Space::Global;
  Type type = Type::B8;
  uint64_t count = 1; ///< elements; 0 for an array without a size
  uint32_t alignment = 1;
  bool isExternal = false;
  int reg = -1;                 ///< for a parameter that is a register
  std::vector<uint8_t> initial; ///< empty: zeros (global, const) or undefined
  /// Addresses in `initial` that are known only when loaded: offset → symbol.
  struct Relocation {
    uint64_t offset;
    std::string symbol;
    int64_t addend;
    bool isGeneric;
  };
  std::vector<Relocation> relocations;

  uint64_t bytes() const { return count * sizeOf(type); }
};

struct Register {
  std::string name;
  Type type;
};

struct Operand {
  enum class Kind : uint8_t {
    Sink,     ///< `_`
    Register, ///< index, and second for `a|b`
    Special,  ///< name, such as %tid.x
    Integer,  ///< bits
    Float32,  ///< bits, from 0f…
    Float64,  ///< bits, from 0d… or a decimal
    Variable, ///< index into Function::variables, plus offset
    Symbol,   ///< name of a module's variable or function, plus offset
    Label,    ///< index into Function::labels
    Address,  ///< elements[0] is the base, plus offset; the rest follows the comma
    Vector,   ///< {elements}
    List,     ///< (elements), of a call
  };
  Kind kind = Kind::Sink;
  bool isNegated = false; ///< `!p`, and `-r` of a register
  int index = -1;
  int second = -1; ///< register after `|`; -1 where there is none or it is `_`
  uint64_t bits = 0;
  int64_t offset = 0;
  std::string name;
  std::string part; ///< of a register: "b0" of `r.b0`
  std::vector<Operand> elements;
};

struct Instruction {
  std::string opcode;                 ///< "add"
  std::vector<std::string> modifiers; ///< "rn", "ftz", "f32"
  int guard = -1;                     ///< predicate register
  bool isGuardNegated = false;
  std::vector<Operand> operands;
  int line = 0;

  bool has(std::string_view modifier) const;
  /// As it was written, without operands: for messages.
  std::string text() const;
};

/// A signature, of a function or of an indirect call.
struct Prototype {
  std::vector<Variable> results, parameters;
};

struct Function {
  std::string name;
  int line = 0;
  bool isKernel = false;
  bool hasBody = false;
  Prototype prototype;
  std::vector<Register> registers;
  std::vector<Variable> variables; ///< of all scopes; parameters come first, then results
  std::vector<int> labels;         ///< label → index of an instruction
  std::vector<Instruction> instructions;
  std::map<std::string, std::vector<int>> branchTargets; ///< .branchtargets
  std::map<std::string, Prototype> callPrototypes;
  uint32_t maxThreads[3] = {0, 0, 0};      ///< .maxntid
  uint32_t requiredThreads[3] = {0, 0, 0}; ///< .reqntid
  uint32_t clusterSize[3] = {0, 0, 0};     ///< .reqnctapercluster
  int maxRegisters = 0;
  int minBlocksPerSm = 0;
};

struct Module {
  int version = 0;    ///< 10 × major + minor
  std::string target; ///< "sm_90a"
  std::vector<Variable> variables;
  std::vector<std::unique_ptr<Function>> functions;

  const Function *function(std::string_view name) const;
  const Variable *variable(std::string_view name) const;
};

} // namespace vgpu::ptx
