#include "ptx/Parser.h"

#include "ptx/Statements.h"

#include <charconv>

namespace vgpu::ptx {
namespace {

int parseVersion(const Token &token) {
  const char *begin = token.text.data(), *end = begin + token.text.size();
  int major = 0, minor = 0;
  const char *dot = std::from_chars(begin, end, major).ptr;
  bool isVersion = dot != begin && dot != end && *dot == '.' &&
                   std::from_chars(dot + 1, end, minor).ptr == end && minor < 10;
  if (!isVersion)
    throw SyntaxError(token.line,
                      "expected a version such as 8.0, but found " + std::string(token.text));
  return 10 * major + minor;
}

/// The module level: directives, variables, and the heads of functions.
class ModuleParser {
public:
  explicit ModuleParser(std::string_view text) : tokens(tokenize(text)), cursor(tokens) {}

  std::unique_ptr<Module> run() {
    while (!cursor.atEnd())
      directive();
    return std::move(module);
  }

private:
  void directive() {
    if (cursor.accept(".version")) {
      module->version = parseVersion(cursor.take());
    } else if (cursor.accept(".target")) {
      module->target = cursor.take().text;
      while (cursor.accept(","))
        cursor.take();
    } else if (cursor.accept(".address_size")) {
      if (cursor.integer() != 64)
        cursor.fail("only 64-bit addresses are supported");
    } else if (cursor.is(".file") || cursor.is(".pragma")) {
      cursor.skipLine();
    } else if (cursor.is(".section")) {
      cursor.skipBraces();
    } else if (cursor.is(".alias")) {
      cursor.fail("'.alias' is not supported");
    } else {
      declaration();
    }
  }

  void declaration() {
    bool isExternal = false;
    for (;;) {
      if (cursor.accept(".extern"))
        isExternal = true;
      else if (!cursor.accept(".visible") && !cursor.accept(".weak") && !cursor.accept(".common"))
        break;
    }
    if (cursor.is(".entry") || cursor.is(".func"))
      function();
    else if (std::optional<Space> space = acceptSpace(cursor))
      for (Variable &variable : parseVariables(cursor, *space, isExternal))
        module->variables.push_back(std::move(variable));
    else
      cursor.fail("expected a directive, but found '" + std::string(cursor.peek().text) + "'");
  }

  void function() {
    auto function = std::make_unique<Function>();
    function->line = cursor.peek().line;
    function->isKernel = cursor.take().text == ".entry";
    StatementParser statements(cursor, *function);
    if (cursor.is("("))
      function->prototype.results = statements.parameterList();
    function->name = cursor.take().text;
    if (cursor.is("("))
      function->prototype.parameters = statements.parameterList();
    statements.declareParameters();
    while (!cursor.is("{") && !cursor.accept(";"))
      performanceDirective(*function);
    if (cursor.is("{"))
      statements.body();
    module->functions.push_back(std::move(function));
  }

  void threeNumbers(uint32_t (&values)[3]) {
    int count = 0;
    do {
      if (count == 3)
        cursor.fail("more than three numbers");
      values[count++] = static_cast<uint32_t>(cursor.integer());
    } while (cursor.accept(","));
    for (; count < 3; ++count)
      values[count] = 1;
  }

  void performanceDirective(Function &function) {
    if (cursor.accept(".maxntid"))
      threeNumbers(function.maxThreads);
    else if (cursor.accept(".reqntid"))
      threeNumbers(function.requiredThreads);
    else if (cursor.accept(".reqnctapercluster"))
      threeNumbers(function.clusterSize);
    else if (cursor.accept(".minnctapersm"))
      function.minBlocksPerSm = static_cast<int>(cursor.integer());
    else if (cursor.accept(".maxnreg"))
      function.maxRegisters = static_cast<int>(cursor.integer());
    else if (cursor.accept(".maxclusterrank") || cursor.accept(".abi_preserve") ||
             cursor.accept(".abi_preserve_control") || cursor.accept(".language"))
      cursor.take();
    else if (cursor.is(".pragma"))
      cursor.skipStatement();
    else if (!cursor.accept(".noreturn") && !cursor.accept(".explicitcluster") &&
             !cursor.accept(".blocksareclusters"))
      cursor.fail("unknown directive '" + std::string(cursor.peek().text) + "'");
  }

  std::vector<Token> tokens;
  Cursor cursor;
  std::unique_ptr<Module> module = std::make_unique<Module>();
};

} // namespace

std::unique_ptr<Module> parse(std::string_view text) { return ModuleParser(text).run(); }

} // namespace vgpu::ptx
