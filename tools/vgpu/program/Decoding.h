#pragma once
// What the decoder of one instruction sees. A family of instructions (see
// exec/ops) gives for each opcode a selector: it reads the modifiers once,
// sets the fields of the decoded instruction and returns its handler.

#include "program/Program.h"
#include "ptx/Lexer.h"

#include <map>
#include <string_view>
#include <unordered_map>

namespace vgpu {

class Decoding;
using Selector = Handler (*)(Decoding &);
using SelectorTable = std::unordered_map<std::string_view, Selector>;

/// Pseudo-opcodes that the decoder itself needs.
constexpr std::string_view kReadSpecial = "%special";
constexpr std::string_view kLocalAddress = "%localaddress";
/// Runs before each instruction of kernels that use wgmma.
constexpr std::string_view kGuard = "%guard";

/// Addresses of what a module's text names.
struct Symbols {
  std::map<std::string, uint64_t, std::less<>> variables; ///< global and const
  std::map<std::string, uint32_t, std::less<>> shared;    ///< of this kernel
  std::map<std::string, uint32_t, std::less<>> functions; ///< index in Program::functions
  std::map<std::string, uint64_t, std::less<>> functionAddresses;
};

/// The function that is being decoded.
class FunctionBuilder {
public:
  FunctionBuilder(const ptx::Module &module, const ptx::Function &source, const Symbols &symbols,
                  const SelectorTable &selectors, Program &program, Function &function);

  void run();
  /// Lets every instruction be watched, once all are decoded.
  void guard();

  const ptx::Module &module;
  const ptx::Function &source;
  const Symbols &symbols;
  const SelectorTable &selectors;
  Program &program;
  Function &function;

  Operand registerOperand(int index) const { return {registerWords[index]}; }
  /// A register that no name of the program means.
  Operand scratch(ptx::Type type);
  /// All lanes hold `bits`; `bytes` is 4 or 8 (or 16: zero-extended).
  Operand constant(uint64_t bits, int bytes);
  /// Where the parameter or variable `index` of a device function lives in its frame.
  int32_t parameterWord(int index) const { return variableWords[index]; }
  uint32_t localOffset(int index) const { return variableOffsets[index]; }
  /// Carry of add.cc and its kin.
  Operand carry();
  void emit(const Instruction &instruction) { function.code.push_back(instruction); }
  const Operand *keep(std::vector<Operand> list);
  /// The table of a brx.idx, as labels until the end of the function.
  uint32_t branchTable(const std::vector<int> &labels);

private:
  void placeRegisters();
  void placeVariables();
  void decode(const ptx::Instruction &instruction);
  void resolveLabels();

  std::vector<int32_t> registerWords;
  std::vector<int32_t> variableWords;
  std::vector<uint32_t> variableOffsets;
  std::vector<uint32_t> firstDecoded; ///< source instruction → decoded instruction
  std::vector<uint32_t> constants;
  std::map<std::pair<uint64_t, int>, int32_t> knownConstants;
  int32_t carryPredicate = 0;
};

class Decoding {
public:
  Decoding(FunctionBuilder &builder, const ptx::Instruction &source, Instruction &out)
      : builder(builder), source(source), out(out) {}

  FunctionBuilder &builder;
  const ptx::Instruction &source;
  Instruction &out;

  bool has(std::string_view modifier) const { return source.has(modifier); }
  const std::string &modifier(size_t number) const;
  /// The type modifiers in order; None where there are fewer.
  ptx::Type type(size_t number = 0) const;
  size_t operandCount() const { return source.operands.size(); }
  const ptx::Operand &operand(size_t number) const;
  void expectOperands(size_t least, size_t most) const;
  void expectOperands(size_t count) const { expectOperands(count, count); }

  /// A register that is written; `_` is a scratch register.
  Operand write(size_t number, ptx::Type type) { return write(operand(number), type); }
  Operand write(const ptx::Operand &operand, ptx::Type type);
  /// A register, a constant, a special register or an address that is read.
  Operand read(size_t number, ptx::Type type) { return read(operand(number), type); }
  Operand read(const ptx::Operand &operand, ptx::Type type);
  /// Bytes of the declared register; of other operands, those of `type`.
  int bytesOf(const ptx::Operand &operand, ptx::Type type) const;

  Operand readPredicate(const ptx::Operand &operand);
  Operand writePredicate(const ptx::Operand &operand);
  Operand writePredicate(int registerIndex);
  bool isPredicate(const ptx::Operand &operand) const;

  /// Base into `out.operands[slot]`, offset into `out.immediate`.
  void address(size_t number, size_t slot);
  /// The constant value of an operand that must be one.
  int64_t integer(size_t number) const;
  /// `out.list` becomes `list`.
  void setList(std::vector<Operand> list);
  /// A `{vector}`, or one operand as a vector of one.
  std::vector<const ptx::Operand *> elements(size_t number) const;
  /// Fills out.memory: space, order, scope, volatile.
  void memoryForm();

  [[noreturn]] void fail(const std::string &message) const {
    throw ptx::SyntaxError(source.line, source.text() + ": " + message);
  }
  [[noreturn]] void unsupported() const { fail("not supported"); }

private:
  /// Only video instructions select parts of registers, and negate them.
  void expectWhole(const ptx::Operand &operand) const;
  Operand addressOf(const ptx::Operand &operand, ptx::Type type);
  Operand special(const ptx::Operand &operand, ptx::Type type);
};

} // namespace vgpu
