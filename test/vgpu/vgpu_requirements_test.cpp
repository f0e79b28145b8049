// The virtual GPU has an instruction from the target and the version of PTX on that
// ptxas has it from: requirements.txt says which these are.
#include "exec/Selectors.h"
#include "program/Decoder.h"
#include "program/Requirements.h"
#include "ptx/Parser.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

using namespace vgpu;

namespace {

struct Line {
  std::string target;
  int version; ///< 10 × major + minor
  std::string instruction;
};

constexpr std::array<std::string_view, 6> kTargets = {"sm_75", "sm_80", "sm_86",
                                                      "sm_89", "sm_90", "sm_90a"};
constexpr std::array kVersions = {63, 64, 65, 70, 71, 72, 73, 74, 75, 76, 77,
                                  78, 80, 81, 82, 83, 84, 85, 86, 87, 88, 90};

std::vector<Line> readLines() {
  std::ifstream file(VGPU_TEST_REQUIREMENTS);
  EXPECT_TRUE(file);
  std::vector<Line> lines;
  for (std::string text; std::getline(file, text);) {
    if (text.starts_with('#'))
      continue;
    std::istringstream words(text);
    Line line;
    int major = 0, minor = 0;
    char dot = 0;
    words >> line.target >> major >> dot >> minor >> std::ws;
    std::getline(words, line.instruction);
    line.version = 10 * major + minor;
    lines.push_back(std::move(line));
  }
  EXPECT_GT(lines.size(), 300u);
  return lines;
}

std::string versionText(int version) {
  return std::to_string(version / 10) + "." + std::to_string(version % 10);
}

/// A module of some instructions.
std::string moduleOf(std::string_view target, int version,
                     const std::vector<std::string> &instructions, bool hasWideRegisters = true) {
  std::string wide = hasWideRegisters ? ".reg .b128 %q<4>;" : "";
  std::string text = ".version " + versionText(version) + "\n.target " + std::string(target) +
                     "\n.address_size 64\n"
                     ".visible .entry f(.param .align 64 .b8 m[128], .param .u64 p)\n{\n"
                     ".reg .pred %p<8>; .reg .b16 %h<16>; .reg .b32 %r<40>; .reg .b64 %d<24>;\n"
                     ".reg .f32 %f<24>; .reg .f64 %e<16>; " +
                     wide + "\n.shared .align 128 .b8 s[1024];\n";
  for (const std::string &instruction : instructions)
    text += instruction + "\n";
  return text + "ret;\n}\n";
}

/// What the virtual GPU says of an instruction; nothing where it has it.
std::string refusal(std::string_view target, int version, const std::string &instruction) {
  try {
    std::unique_ptr<ptx::Module> module = ptx::parse(moduleOf(target, version, {instruction}));
    if (std::string missing = missingForTarget(*module); !missing.empty())
      return missing;
    decode(*module, *module->function("f"), {}, selectors());
    return "";
  } catch (const ptx::SyntaxError &error) {
    return error.what();
  }
}

/// The one before, or none.
template <class Range, class T> auto before(const Range &range, const T &value) {
  auto found = std::find(range.begin(), range.end(), value);
  return found == range.begin() ? range.end() : found - 1;
}

TEST(Requirements, AreEnough) {
  for (const Line &line : readLines())
    EXPECT_EQ(refusal(line.target, line.version, line.instruction), "") << line.instruction;
}

TEST(Requirements, AreOfTheVersion) {
  for (const Line &line : readLines()) {
    auto earlier = before(kVersions, line.version);
    if (earlier == kVersions.end())
      continue;
    std::string said = refusal(line.target, *earlier, line.instruction);
    EXPECT_NE(said.find("needs PTX " + versionText(line.version)), std::string::npos)
        << line.instruction << ": " << said;
  }
}

TEST(Requirements, AreOfTheTarget) {
  for (const Line &line : readLines()) {
    auto earlier = before(kTargets, line.target);
    if (earlier == kTargets.end())
      continue;
    std::string said = refusal(*earlier, 90, line.instruction);
    EXPECT_NE(said.find("needs " + line.target + ","), std::string::npos)
        << line.instruction << ": " << said;
  }
}

#ifdef VGPU_TEST_PTXAS
/// The line of a module where its instructions begin.
constexpr int kFirstLine = 9;

/// The instructions that ptxas refuses, of those of one module.
std::set<size_t> refusedByPtxas(std::string_view target, int version,
                                std::vector<std::string> instructions) {
  std::string path = testing::TempDir() + "/requirements.ptx";
  std::set<size_t> refused;
  for (;;) { // what it cannot even parse hides what follows
    std::ofstream(path) << moduleOf(target, version, instructions, version >= 83);
    std::string command = VGPU_TEST_PTXAS " -arch=sm_90a -O0 -o /dev/null " + path + " 2>&1";
    std::FILE *output = popen(command.c_str(), "r"); // NOLINT(bugprone-command-processor)
    std::string text;
    for (char buffer[256]; std::fgets(buffer, sizeof buffer, output);)
      text += buffer;
    if (pclose(output) == 0)
      return refused;
    size_t known = refused.size();
    for (size_t at = 0; (at = text.find(", line ", at)) != std::string::npos;) {
      at += 7;
      size_t number = std::stoul(text.substr(at)) - kFirstLine;
      if (number < instructions.size() && refused.insert(number).second)
        instructions[number] = "";
    }
    if (refused.size() > known)
      continue;
    for (size_t number = 0; number < instructions.size(); ++number)
      refused.insert(number); // the target itself is refused
    return refused;
  }
}

TEST(Requirements, AreThoseOfPtxas) {
  std::map<std::pair<std::string, int>, std::vector<std::string>> groups;
  for (const Line &line : readLines())
    groups[{line.target, line.version}].push_back(line.instruction);
  for (const auto &[since, instructions] : groups) {
    auto [target, version] = since;
    SCOPED_TRACE(target + ", PTX " + versionText(version));
    for (size_t refused : refusedByPtxas(target, version, instructions))
      ADD_FAILURE() << "refuses " << instructions[refused];
    if (auto earlier = before(kVersions, version); earlier != kVersions.end())
      EXPECT_EQ(refusedByPtxas(target, *earlier, instructions).size(), instructions.size());
    if (auto earlier = before(kTargets, target); earlier != kTargets.end())
      EXPECT_EQ(refusedByPtxas(*earlier, 90, instructions).size(), instructions.size());
  }
}
#endif

} // namespace
