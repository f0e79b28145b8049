// Every op of moec's dialects documents an example, and each example parses.
#include "moec/InitAll.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/Parser/Parser.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Regex.h"
#include "gtest/gtest.h"

#include <map>

using namespace llvm;

namespace {

/// The text between the first `begin` and the `end` after it, which leaves
/// `text` behind.
StringRef takeBetween(StringRef &text, StringRef begin, StringRef end) {
  text = text.substr(text.find(begin));
  text.consume_front(begin);
  auto [taken, rest] = text.split(end);
  text = rest;
  return taken;
}

/// Parses operations whose operands nobody defines: they become arguments of a
/// function, and the parser's complaints tell their types. Returns the last
/// complaint, or nothing.
std::string parseExample(StringRef example, mlir::MLIRContext &context) {
  std::string complaint;
  mlir::ScopedDiagnosticHandler handler(&context, [&](mlir::Diagnostic &diagnostic) {
    if (complaint.empty())
      complaint = diagnostic.str();
    return mlir::success();
  });
  std::map<std::string, std::string> arguments;
  Regex mismatch("use of value '(%[A-Za-z0-9_]+)' expects different type than prior uses: '(.*)' "
                 "vs 'none'");
  // What is used and what is defined, by the look of it.
  SmallVector<StringRef> tokens;
  SplitString(example, tokens, " \t\n,:()[]{}=");
  for (StringRef token : tokens)
    if (token.starts_with("%"))
      arguments.try_emplace(token.str(), "none");
  SmallVector<StringRef> lines;
  example.split(lines, '\n');
  for (StringRef line : lines)
    if (auto [results, rest] = line.split(" = "); line.trim().starts_with("%")) {
      SmallVector<StringRef> names;
      SplitString(results, names, " ,");
      for (StringRef name : names)
        arguments.erase(name.str());
    }
  mlir::ParserConfig config(&context, /*verifyAfterParse=*/false);
  for (size_t attempt = 0; attempt <= arguments.size(); ++attempt) {
    auto list = map_range(arguments, [](auto &entry) { return entry.first + ": " + entry.second; });
    std::string text =
        "func.func @example(" + join(list, ", ") + ") {\n" + example.str() + "\nreturn\n}\n";
    complaint.clear();
    if (mlir::parseSourceString<mlir::ModuleOp>(text, config))
      return "";
    SmallVector<StringRef> match;
    if (!mismatch.match(complaint, &match))
      return complaint;
    arguments[match[1].str()] = match[2].str();
  }
  return complaint;
}

class Examples : public testing::TestWithParam<const char *> {};

TEST_P(Examples, Parse) {
  mlir::DialectRegistry registry;
  moec::registerAllDialects(registry);
  mlir::MLIRContext context(registry);
  context.loadAllAvailableDialects();
  auto file = MemoryBuffer::getFile(std::string(MOEC_SOURCE_DIR "/dialects/") + GetParam());
  ASSERT_TRUE(static_cast<bool>(file)) << file.getError().message();
  StringRef text = (*file)->getBuffer();
  for (size_t count = 0;; ++count) {
    StringRef op = takeBetween(text, "Op : ", "let summary");
    if (op.empty()) {
      ASSERT_GT(count, 0u);
      break;
    }
    StringRef mnemonic = op.split('"').second.split('"').first;
    StringRef description = text.split("let arguments").first.split("let results").first;
    StringRef example = takeBetween(description, "```mlir", "```");
    EXPECT_FALSE(example.empty()) << mnemonic.str() << " has no example";
    EXPECT_EQ(parseExample(example, context), "") << mnemonic.str() << ":" << example.str();
    EXPECT_TRUE(example.contains(mnemonic)) << mnemonic.str() << " is not in its example";
  }
}

INSTANTIATE_TEST_SUITE_P(Dialects, Examples,
                         testing::Values("attn/AttnOps.td", "moe/MoeOps.td", "onnx/OnnxOps.td",
                                         "rt/RtOps.td"),
                         [](const auto &info) {
                           return StringRef(info.param).split('/').first.str();
                         });

} // namespace
