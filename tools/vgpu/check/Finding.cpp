#include "check/Finding.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <utility>

namespace vgpu {
namespace {

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", c);
      result += escape;
    } else {
      result += c;
    }
  }
  return result + '"';
}

std::string jsonOf(const Finding &finding) {
  const Site &site = finding.site;
  std::string text =
      "{\"severity\": " + quoted(nameOf(finding.severity)) +
      ", \"kind\": " + quoted(nameOf(finding.kind)) + ", \"message\": " + quoted(finding.message) +
      ", \"kernel\": " + quoted(site.kernel) + ", \"line\": " + std::to_string(site.line) +
      ", \"instruction\": " + quoted(site.instruction);
  if (site.warp >= 0)
    text += ", \"block\": [" + std::to_string(site.block[0]) + ", " +
            std::to_string(site.block[1]) + ", " + std::to_string(site.block[2]) +
            "], \"warp\": " + std::to_string(site.warp) +
            ", \"lane\": " + std::to_string(site.lane);
  if (finding.hasAddress)
    text += ", \"address\": " + std::to_string(finding.address);
  if (!finding.other.empty())
    text += ", \"other\": " + quoted(finding.other);
  return text + ", \"count\": " + std::to_string(finding.count) + "}";
}

} // namespace

std::string Findings::json(const std::vector<Finding> &findings) {
  std::string text = "[";
  for (const Finding &finding : findings)
    text += (text.size() > 1 ? ",\n " : "") + jsonOf(finding);
  return text + "]";
}

std::string_view nameOf(FindingKind kind) {
  switch (kind) {
  case FindingKind::OutOfBounds:
    return "out-of-bounds";
  case FindingKind::Misaligned:
    return "misaligned";
  case FindingKind::ReadOnlyWrite:
    return "read-only-write";
  case FindingKind::Uninitialized:
    return "uninitialized-read";
  case FindingKind::BarrierDivergence:
    return "barrier-divergence";
  case FindingKind::Deadlock:
    return "deadlock";
  case FindingKind::Trap:
    return "trap";
  case FindingKind::Assertion:
    return "assertion";
  case FindingKind::InvalidInstruction:
    return "invalid-instruction";
  case FindingKind::StackOverflow:
    return "stack-overflow";
  case FindingKind::WarpSynchronous:
    return "warp-synchronous";
  case FindingKind::Race:
    return "race";
  case FindingKind::Proxy:
    return "proxy";
  case FindingKind::Asynchronous:
    return "asynchronous";
  case FindingKind::NotCountable:
    return "not-countable";
  case FindingKind::Leak:
    return "leak";
  case FindingKind::ApiMisuse:
    return "api-misuse";
  }
  return "unknown";
}

std::string_view nameOf(Severity severity) {
  switch (severity) {
  case Severity::Error:
    return "error";
  case Severity::Warning:
    return "warning";
  case Severity::Note:
    return "note";
  }
  return "unknown";
}

void Findings::add(Finding finding) {
  std::lock_guard lock(mutex);
  for (Finding &known : findings)
    if (known.kind == finding.kind && known.severity == finding.severity &&
        known.site.line == finding.site.line && known.site.kernel == finding.site.kernel &&
        (finding.site.line != 0 || known.message == finding.message)) {
      ++known.count;
      return;
    }
  findings.push_back(std::move(finding));
}

std::vector<Finding> Findings::all() const {
  std::lock_guard lock(mutex);
  return findings;
}

std::vector<Finding> Findings::take() {
  std::lock_guard lock(mutex);
  return std::exchange(findings, {});
}

bool Findings::hasErrors() const {
  std::lock_guard lock(mutex);
  return std::any_of(findings.begin(), findings.end(),
                     [](const Finding &finding) { return finding.severity == Severity::Error; });
}

std::string Findings::text(const Finding &finding) {
  const Site &site = finding.site;
  std::string text = std::string(nameOf(finding.severity)) + ": " +
                     std::string(nameOf(finding.kind)) + ": " + finding.message;
  if (finding.hasAddress) {
    char address[32];
    std::snprintf(address, sizeof address, " at 0x%" PRIx64, finding.address);
    text += address;
  }
  if (!site.kernel.empty())
    text += "\n  in kernel " + site.kernel;
  if (site.line)
    text += ", ptx line " + std::to_string(site.line) + " (" + site.instruction + ")";
  if (site.warp >= 0) {
    text += ", block (" + std::to_string(site.block[0]) + ", " + std::to_string(site.block[1]) +
            ", " + std::to_string(site.block[2]) + "), warp " + std::to_string(site.warp);
    if (site.lane >= 0)
      text += ", lane " + std::to_string(site.lane);
  }
  if (!finding.other.empty())
    text += "\n  other party: " + finding.other;
  if (finding.count > 1)
    text += "\n  seen " + std::to_string(finding.count) + " times";
  return text;
}

} // namespace vgpu
