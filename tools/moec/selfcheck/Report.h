//===- Report.h - what a self-check found ----------------------------------===//
#pragma once

#include "tools/moec/Command.h"

#include <string>
#include <vector>

namespace moec::tools {

enum class Verdict {
  pass,
  fail,
  measured, // a number; whether it is good is not said
  unproven  // seen where it proves nothing, such as on a virtual GPU
};

struct Number {
  const char *name; // with its unit, "gigabytes_per_second"
  double value;
};

/// One line of the report.
struct Finding {
  std::string check;
  Verdict verdict;
  std::string text;
  std::vector<Number> numbers = {};
};

class Report {
public:
  void add(Finding finding) { findings.push_back(std::move(finding)); }
  /// A check that could not be carried out has failed.
  void fail(const std::string &check, const Status &error) {
    add({check, Verdict::fail, error.message()});
  }

  bool hasFailures() const;
  void print() const;
  void printJson(const std::string &device) const;

private:
  std::vector<Finding> findings;
};

/// What code for the CPU takes for granted of this machine.
void checkCpu(Report &report);
/// What code for GPUs takes for granted of the first one.
void checkCuda(Report &report);

} // namespace moec::tools
