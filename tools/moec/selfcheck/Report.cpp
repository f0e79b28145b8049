#include "tools/moec/selfcheck/Report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace moec::tools {
namespace {

const char *textOf(Verdict verdict) {
  switch (verdict) {
  case Verdict::pass:
    return "pass";
  case Verdict::fail:
    return "FAIL";
  case Verdict::measured:
    return "measured";
  case Verdict::unproven:
    return "not proven here";
  }
  __builtin_unreachable();
}

const char *keyOf(Verdict verdict) {
  switch (verdict) {
  case Verdict::fail:
    return "fail";
  case Verdict::unproven:
    return "not_proven";
  default:
    return textOf(verdict);
  }
}

} // namespace

bool Report::hasFailures() const {
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding &finding) { return finding.verdict == Verdict::fail; });
}

void Report::print() const {
  for (const Finding &finding : findings)
    std::printf("%-15s  %s: %s\n", textOf(finding.verdict), finding.check.c_str(),
                finding.text.c_str());
}

void Report::printJson(const std::string &device) const {
  nlohmann::ordered_json checks = nlohmann::ordered_json::array();
  for (const Finding &finding : findings) {
    nlohmann::ordered_json check{
        {"check", finding.check}, {"verdict", keyOf(finding.verdict)}, {"text", finding.text}};
    for (const Number &number : finding.numbers)
      check[number.name] = number.value;
    checks.push_back(std::move(check));
  }
  nlohmann::ordered_json root{
      {"device", device}, {"passed", !hasFailures()}, {"checks", std::move(checks)}};
  std::printf("%s\n", root.dump(1).c_str());
}

} // namespace moec::tools
