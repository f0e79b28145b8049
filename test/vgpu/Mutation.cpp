#include "Mutation.h"

#include "driver/cuda_driver.h"
#include "driver/vgpu.h"

#include <cstdlib>
#include <fcntl.h>
#include <regex>
#include <set>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using Variants = std::vector<std::string>;

std::string replaced(const std::string &line, const char *pattern, const std::string &by) {
  return std::regex_replace(line, std::regex(pattern), by, std::regex_constants::format_first_only);
}

bool matches(const std::string &line, const char *pattern) {
  return std::regex_search(line, std::regex(pattern));
}

Variants dropBarrier(const std::string &line) {
  if (!matches(line, R"(\b(bar|barrier)\.)"))
    return {};
  Variants variants{""};
  if (matches(line, R"(\b(bar|barrier)\.(cta\.)?sync)"))
    variants.push_back("bar.warp.sync 0xffffffff;");
  return variants;
}

Variants loosenWait(const std::string &line) {
  std::smatch found;
  if (std::regex_search(line, found, std::regex(R"(wait_group(\S*)\s+(\d+))"))) {
    std::string next = std::to_string(std::stoi(found[2]) + 1);
    return {replaced(line, R"(wait_group(\S*)\s+\d+)", "wait_group$1 " + next)};
  }
  if (matches(line, R"(cp\.async(\.bulk)?\.wait_all)"))
    return {""};
  if (std::regex_search(line, found, std::regex(R"(mbarrier\.\w+_wait\S*\s+(%p\d+))")))
    return {"setp.eq.u32 " + found[1].str() + ", 0, 0;"};
  return {};
}

Variants changeBytes(const std::string &line) {
  std::smatch found;
  if (std::regex_search(line, found, std::regex(R"(expect_tx\S*\s.*, (\d+);)")) ||
      std::regex_search(line, found, std::regex(R"(cp\.async\.c[ag]\S*\s.*, (\d+)[,;])"))) {
    std::string half = std::to_string(std::stoi(found[1]) / 2);
    return {line.substr(0, found.position(1)) + half +
            line.substr(found.position(1) + found.length(1))};
  }
  return {};
}

/// Bytes of an access's elements.
int elementBytes(const std::string &line) {
  std::smatch found;
  if (!std::regex_search(line, found, std::regex(R"(\.[busf](8|16|32|64)\b)")))
    return 4;
  return std::stoi(found[1]) / 8;
}

bool isAccess(const std::string &line) {
  return matches(
      line,
      R"(\b(ld|st|atom|red)\.(volatile\.|relaxed\.|acquire\.|release\.|gpu\.)*(global|shared))");
}

std::string shifted(const std::string &line, int bytes) {
  std::smatch found;
  if (!std::regex_search(line, found, std::regex(R"(\[(%r[d]?\d+)([+]-?\d+)?\])")))
    return line;
  int offset = found[2].matched ? std::stoi(found[2].str().substr(1)) : 0;
  return line.substr(0, found.position()) + "[" + found[1].str() + "+" +
         std::to_string(offset + bytes) + "]" + line.substr(found.position() + found.length());
}

Variants shiftIndex(const std::string &line) {
  if (isAccess(line))
    return {shifted(line, elementBytes(line))};
  const std::pair<const char *, const char *> bounds[] = {
      {"lt", "le"}, {"le", "lt"}, {"gt", "ge"}, {"ge", "gt"}};
  for (auto [from, to] : bounds)
    if (matches(line, (std::string(R"(setp\.)") + from + R"(\.[su])").c_str()))
      return {replaced(line, (std::string(R"(setp\.)") + from).c_str(), std::string("setp.") + to)};
  return {};
}

Variants misalign(const std::string &line) {
  if (!isAccess(line) || !matches(line, R"(\.v[24]\.)"))
    return {};
  return {shifted(line, elementBytes(line))};
}

Variants dropFence(const std::string &line) {
  if (matches(line, R"(^\s*(fence|membar)\.)"))
    return {""};
  if (matches(line, R"(\.(acquire|release|acq_rel)\.)"))
    return {replaced(line, R"(\.(acquire|release|acq_rel)\.)", ".relaxed.")};
  return {};
}

Variants dropPredicate(const std::string &line) {
  return matches(line, R"(^\s*@)") ? Variants{replaced(line, R"(@!?[%\w]+\s*)", "")} : Variants{};
}

/// The address of another shared variable of the module.
Variants swapBuffers(const std::string &line, const std::set<std::string> &shared) {
  std::smatch found;
  Variants variants;
  if (std::regex_search(line, found,
                        std::regex(R"(\bmov\.[bu](32|64)\s+%\w+, ([A-Za-z_$][\w$]*);)")) &&
      shared.contains(found[2]))
    for (const std::string &other : shared)
      if (other != found[2])
        variants.push_back(line.substr(0, found.position(2)) + other + ";");
  return variants;
}

std::vector<std::string> linesOf(const std::string &text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);)
    lines.push_back(line);
  return lines;
}

std::string joined(std::vector<std::string> lines, size_t index, const std::string &by) {
  lines[index] = by;
  std::string text;
  for (const std::string &line : lines)
    text += line + "\n";
  return text;
}

/// In the child: what becomes of the mutant under the seed.
Fate fateInside(const std::string &text, const std::function<bool(const std::string &)> &isRight) {
  bool right = isRight(text);
  std::string findings(vgpuTakeFindings(nullptr, 0) + 1, '\0');
  vgpuTakeFindings(findings.data(), findings.size());
  if (findings.find("\"severity\": \"error\"") != std::string::npos)
    return Fate::Found;
  return right ? Fate::Survived : Fate::WrongResult;
}

Fate fateUnder(const char *seed, const std::string &text,
               const std::function<bool(const std::string &)> &isRight) {
  constexpr unsigned kSecondsUntilHang = 20;
  std::fflush(nullptr);
  pid_t child = fork();
  if (child == 0) {
    setenv("VGPU_SEED", seed, 1);
    setenv("VGPU_TIMEOUT", "5", 1); // before the process hangs
    int nothing = open("/dev/null", O_WRONLY);
    dup2(nothing, 1);
    dup2(nothing, 2);
    alarm(kSecondsUntilHang);
    _exit(static_cast<int>(fateInside(text, isRight)));
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status))
    return static_cast<Fate>(WEXITSTATUS(status));
  return WTERMSIG(status) == SIGALRM ? Fate::Hang : Fate::Fault;
}

} // namespace

std::vector<Mutant> mutantsOf(const std::string &ptx) {
  std::vector<std::string> lines = linesOf(ptx);
  std::set<std::string> shared;
  std::smatch found;
  for (const std::string &line : lines)
    if (std::regex_search(line, found, std::regex(R"(\.shared\s.*\s([\w$]+)\[)")))
      shared.insert(found[1]);
  const std::pair<const char *, std::function<Variants(const std::string &)>> operators[] = {
      {"drop-barrier", dropBarrier},
      {"loosen-wait", loosenWait},
      {"change-bytes", changeBytes},
      {"shift-index", shiftIndex},
      {"misalign", misalign},
      {"drop-fence", dropFence},
      {"swap-buffers", [&](const std::string &line) { return swapBuffers(line, shared); }},
      {"drop-predicate", dropPredicate}};
  std::vector<Mutant> mutants;
  for (size_t index = 0; index < lines.size(); ++index)
    for (const auto &[name, apply] : operators)
      for (const std::string &after : apply(lines[index]))
        mutants.push_back(
            {name, static_cast<int>(index + 1), lines[index], after, joined(lines, index, after)});
  return mutants;
}

std::string nameOf(Fate fate) {
  const char *names[] = {"wrong result", "found", "fault", "hang", "survived"};
  return names[static_cast<int>(fate)];
}

Fate fateOf(const std::string &text, const std::function<bool(const std::string &)> &isRight) {
  for (const char *seed : {"0", "1", "2"})
    if (Fate fate = fateUnder(seed, text, isRight); fate != Fate::Survived)
      return fate;
  return Fate::Survived;
}
