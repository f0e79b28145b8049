#include "program/Decoder.h"

#include "program/ControlFlow.h"
#include "program/RegisterPlaces.h"
#include "program/Requirements.h"

#include <algorithm>
#include <cstring>
#include <set>

namespace vgpu {
namespace {

using ptx::Type;

uint32_t roundUp(uint32_t value, uint32_t unit) { return (value + unit - 1) / unit * unit; }

/// The functions that a kernel may reach, the kernel first.
class Reachability {
public:
  Reachability(const ptx::Module &module, const ptx::Function &kernel) : module(module) {
    add(&kernel);
    for (size_t next = 0; next < found.size(); ++next)
      for (const ptx::Instruction &instruction : found[next]->instructions) {
        for (const ptx::Operand &operand : instruction.operands)
          visit(operand);
        if (isIndirectCall(instruction))
          for (const auto &function : module.functions)
            if (!function->isKernel && function->hasBody)
              add(function.get());
      }
  }

  std::vector<const ptx::Function *> found;
  std::set<std::string> sharedSymbols;

private:
  static bool isIndirectCall(const ptx::Instruction &instruction) {
    return instruction.opcode == "call" &&
           std::any_of(instruction.operands.begin(), instruction.operands.end(),
                       [](const ptx::Operand &operand) {
                         return operand.kind == ptx::Operand::Kind::Register;
                       });
  }

  void visit(const ptx::Operand &operand) {
    for (const ptx::Operand &element : operand.elements)
      visit(element);
    if (operand.kind != ptx::Operand::Kind::Symbol)
      return;
    if (const ptx::Function *function = module.function(operand.name);
        function && function->hasBody)
      add(function);
    if (const ptx::Variable *variable = module.variable(operand.name);
        variable && variable->space == ptx::Space::Shared)
      sharedSymbols.insert(operand.name);
  }

  void add(const ptx::Function *function) {
    if (std::find(found.begin(), found.end(), function) == found.end())
      found.push_back(function);
  }

  const ptx::Module &module;
};

/// Static variables one after the other, then, at the strictest alignment, all
/// external ones: they are the launch's dynamic memory.
void layOutShared(const ptx::Module &module, const Reachability &reachable, Program &program,
                  Symbols &symbols) {
  uint32_t end = kSharedBase, dynamicAlignment = 16;
  std::vector<const ptx::Variable *> dynamic;
  auto place = [&](const ptx::Variable &variable) {
    if (variable.space != ptx::Space::Shared)
      return;
    if (variable.count == 0) {
      dynamic.push_back(&variable);
      dynamicAlignment = std::max(dynamicAlignment, variable.alignment);
      return;
    }
    end = roundUp(end, variable.alignment);
    symbols.shared[variable.name] = end;
    end += static_cast<uint32_t>(variable.bytes());
  };
  for (const ptx::Variable &variable : module.variables)
    if (reachable.sharedSymbols.count(variable.name))
      place(variable);
  for (const ptx::Function *function : reachable.found)
    for (const ptx::Variable &variable : function->variables)
      place(variable);
  program.sharedStaticBytes = end - kSharedBase;
  program.sharedDynamicBase = roundUp(end, dynamicAlignment);
  for (const ptx::Variable *variable : dynamic)
    symbols.shared[variable->name] = program.sharedDynamicBase;
}

void layOutParameters(Program &program) {
  for (const ptx::Variable &parameter : program.kernel->prototype.parameters) {
    program.parameterBytes = roundUp(program.parameterBytes, parameter.alignment);
    program.parameterOffsets.push_back(program.parameterBytes);
    program.parameterBytes += static_cast<uint32_t>(parameter.bytes());
  }
}

} // namespace

uint64_t functionAddress(const ptx::Module &module, std::string_view name) {
  const ptx::Function *function = module.function(name);
  for (size_t index = 0; index < module.functions.size(); ++index)
    if (module.functions[index].get() == function)
      return kFunctionWindow | (index + 1) << 4;
  return 0;
}

std::shared_ptr<const Program> decode(const ptx::Module &module, const ptx::Function &kernel,
                                      const std::map<std::string, uint64_t, std::less<>> &variables,
                                      const SelectorTable &selectors) {
  auto program = std::make_shared<Program>();
  program->kernel = &kernel;
  Reachability reachable(module, kernel);
  Symbols symbols;
  symbols.variables = variables;
  layOutShared(module, reachable, *program, symbols);
  layOutParameters(*program);
  for (const ptx::Function *source : reachable.found) {
    uint64_t address = functionAddress(module, source->name);
    symbols.functions[source->name] = static_cast<uint32_t>(program->functions.size());
    symbols.functionAddresses[source->name] = address;
    auto function = std::make_unique<Function>();
    function->source = source;
    function->address = address;
    program->functions.push_back(std::move(function));
  }
  // Every signature has to be known before the first call is decoded.
  std::vector<FunctionBuilder> builders;
  builders.reserve(reachable.found.size());
  for (size_t index = 0; index < reachable.found.size(); ++index)
    builders.emplace_back(module, *reachable.found[index], symbols, selectors, *program,
                          *program->functions[index]);
  for (FunctionBuilder &builder : builders)
    builder.run();
  if (program->traits.usesWarpgroups)
    for (FunctionBuilder &builder : builders)
      builder.guard();
  program->traits.usesClusters =
      kernel.clusterSize[0] * kernel.clusterSize[1] * kernel.clusterSize[2] > 1;
  return program;
}

FunctionBuilder::FunctionBuilder(const ptx::Module &module, const ptx::Function &source,
                                 const Symbols &symbols, const SelectorTable &selectors,
                                 Program &program, Function &function)
    : module(module), source(source), symbols(symbols), selectors(selectors), program(program),
      function(function) {
  placeRegisters();
  placeVariables();
}

/// Places of parameters have a meaning of their own.
void FunctionBuilder::placeRegisters() {
  bool share = source.isKernel;
  if (share) {
    RegisterPlaces places = shareRegisters(source);
    registerWords = std::move(places.words);
    function.registerWords = places.end;
    function.definedBegin = places.definedBegin;
    function.definedEnd = places.end;
  }
  registerWords.resize(source.registers.size());
  for (size_t index = 0; index < registerWords.size(); ++index) {
    Type type = source.registers[index].type;
    if (type == Type::Pred)
      registerWords[index] = scratch(type).word / 2;
    else if (!share)
      registerWords[index] = scratch(type).word;
  }
}

Operand FunctionBuilder::scratch(Type type) {
  if (type == Type::Pred)
    return {static_cast<int32_t>(function.predicates++) * 2};
  int32_t word = static_cast<int32_t>(function.registerWords);
  function.registerWords += vgpu::registerWords(type);
  return {word};
}

/// Local variables share the local frame; parameters of device functions and of
/// calls live beside the registers.
void FunctionBuilder::placeVariables() {
  uint32_t localEnd = 0;
  size_t parameters = source.prototype.parameters.size();
  for (size_t index = 0; index < source.variables.size(); ++index) {
    const ptx::Variable &variable = source.variables[index];
    int32_t word = -1;
    uint32_t offset = 0;
    if (variable.space == ptx::Space::Local) {
      localEnd = roundUp(localEnd, variable.alignment);
      offset = localEnd;
      localEnd += static_cast<uint32_t>(variable.bytes());
    } else if (variable.space == ptx::Space::Param && variable.reg >= 0) {
      word = registerWords[variable.reg];
    } else if (variable.space == ptx::Space::Param && !(source.isKernel && index < parameters)) {
      word = static_cast<int32_t>(function.registerWords);
      function.registerWords += roundUp(static_cast<uint32_t>(variable.bytes()), 4) / 4 * kWarpSize;
    }
    variableWords.push_back(word);
    variableOffsets.push_back(offset);
    if (!source.isKernel && index < parameters + source.prototype.results.size()) {
      ParameterSlot slot{word, static_cast<uint32_t>(variable.bytes()), variable.reg >= 0};
      (index < parameters ? function.parameters : function.results).push_back(slot);
    }
  }
  function.localBytes = roundUp(localEnd, 16);
}

Operand FunctionBuilder::constant(uint64_t bits, int bytes) {
  auto [entry, isNew] = knownConstants.try_emplace({bits, bytes >= 8 ? bytes : 4}, 0);
  if (isNew) {
    entry->second = ~static_cast<int32_t>(constants.size());
    size_t begin = constants.size();
    constants.resize(begin + kWarpSize * std::max(1, bytes / 4));
    for (int lane = 0; lane < kWarpSize; ++lane) {
      if (bytes >= 8)
        std::memcpy(&constants[begin + 2 * lane], &bits, 8);
      else
        constants[begin + lane] = static_cast<uint32_t>(bits);
    }
  }
  return {entry->second};
}

Operand FunctionBuilder::carry() {
  if (!carryPredicate)
    carryPredicate = scratch(Type::Pred).word;
  return {carryPredicate};
}

const Operand *FunctionBuilder::keep(std::vector<Operand> list) {
  function.lists.push_back(std::move(list));
  return function.lists.back().data();
}

uint32_t FunctionBuilder::branchTable(const std::vector<int> &labels) {
  function.branchTables.emplace_back(labels.begin(), labels.end());
  return static_cast<uint32_t>(function.branchTables.size()) - 1;
}

void FunctionBuilder::run() {
  for (const ptx::Instruction &instruction : source.instructions)
    decode(instruction);
  // Falling off the end leaves.
  firstDecoded.push_back(static_cast<uint32_t>(function.code.size()));
  ptx::Instruction leaving;
  Instruction last;
  Decoding decoding(*this, leaving, last);
  last.execute = selectors.at("ret")(decoding);
  function.code.push_back(last);
  resolveLabels();
  findReconvergence(function);
  function.constants = allocateWords(std::max<size_t>(constants.size(), 1));
  std::copy(constants.begin(), constants.end(), function.constants.get());
}

/// What touches no register that may be in flight needs no guard; wgmma looks itself.
void FunctionBuilder::guard() {
  ptx::Instruction none;
  Instruction guard;
  Decoding decoding(*this, none, guard);
  Handler handler = selectors.at(kGuard)(decoding);
  std::vector<bool> isInFlight = warpgroupRegisters(source);
  std::set<int32_t> words;
  for (size_t index = 0; index < isInFlight.size(); ++index)
    if (isInFlight[index])
      words.insert(registerWords[index]);
  function.guarded = function.code;
  for (Instruction &instruction : function.guarded) {
    RegisterUse &use = function.uses.emplace_back();
    if (!instruction.source)
      continue;
    use = registerUse(*instruction.source, source, registerWords);
    for (std::vector<int32_t> *some : {&use.reads, &use.writes})
      std::erase_if(*some, [&](int32_t word) { return !words.count(word); });
    bool isTouching = !use.reads.empty() || !use.writes.empty();
    if (isTouching && use.kind != RegisterUse::Kind::Wgmma)
      instruction.execute = handler;
  }
}

void FunctionBuilder::decode(const ptx::Instruction &instruction) {
  firstDecoded.push_back(static_cast<uint32_t>(function.code.size()));
  auto selector = selectors.find(instruction.opcode);
  if (selector == selectors.end())
    throw ptx::SyntaxError(instruction.line,
                           "instruction '" + instruction.text() + "' is not supported");
  Instruction decoded;
  decoded.source = &instruction;
  Decoding decoding(*this, instruction, decoded);
  if (instruction.guard >= 0) {
    if (source.registers[instruction.guard].type != Type::Pred)
      decoding.fail("its guard is no predicate");
    decoded.guard = static_cast<uint16_t>(registerWords[instruction.guard]);
    decoded.guardFlip = instruction.isGuardNegated ? kAllLanes : 0;
  }
  decoded.execute = selector->second(decoding);
  // Last, since "not supported" says more where both are so.
  if (std::string missing = missingFor(instruction, module); !missing.empty())
    decoding.fail(missing);
  if (decoded.execute) // declarations, such as pragmas, leave nothing to do
    function.code.push_back(decoded);
}

void FunctionBuilder::resolveLabels() {
  auto resolve = [&](uint32_t label) { return firstDecoded[source.labels[label]]; };
  for (Instruction &instruction : function.code)
    if (instruction.flow == Flow::Branch)
      instruction.target = resolve(instruction.target);
  for (std::vector<uint32_t> &table : function.branchTables)
    for (uint32_t &target : table)
      target = resolve(target);
}

} // namespace vgpu
