//===- SelfCheck.cpp - moec selfcheck: does this machine keep its promises -===//
#include "tools/moec/Command.h"
#include "tools/moec/selfcheck/Report.h"

namespace moec::tools {
namespace {

int run(const Arguments &arguments) {
  if (!arguments.positional().empty())
    return misuse(selfcheckCommand, "takes no operands");
  std::string device = arguments.text("--device").value_or("cpu");
  if (device != "cpu" && device != "cuda")
    return misuse(selfcheckCommand, "--device is cpu or cuda, not '" + device + "'");
  Report report;
  (device == "cpu" ? checkCpu : checkCuda)(report);
  if (arguments.has("--json"))
    report.printJson(device);
  else
    report.print();
  return report.hasFailures() ? kBadInput : kDone;
}

constexpr Option kOptions[] = {
    {"--device", "cpu|cuda", "what to check (default cpu)"},
    {"--json", nullptr, "print one JSON object"},
};

} // namespace

const Command selfcheckCommand = {
    "selfcheck",
    "[--device cpu|cuda] [--json]",
    "check what generated code takes for granted of this machine",
    "Prints a line for each check. Exact results are compared with what rounding\n"
    "says; that products of matrices do not depend on where in a tile they are\n"
    "computed is tried on random values. Exit status 1 if a check fails.",
    kOptions,
    run,
};

} // namespace moec::tools
