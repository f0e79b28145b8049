//===- Command.h - sub-commands and their command lines --------------------===//
#pragma once

#include "runtime/Status.h"

#include <optional>
#include <span>
#include <vector>

namespace moec::tools {

using runtime::failure;
using runtime::Status;

/// Exit statuses of every sub-command.
enum Exit { kDone = 0, kBadInput = 1, kBadUsage = 2 };

struct Option {
  const char *name;  // "--threads"
  const char *value; // what to call its value in the help; null: it takes none
  const char *help;
};

/// The command line of a sub-command, checked against its options.
class Arguments {
public:
  /// `--name value` and `--name=value`; everything else is positional.
  Status parse(std::span<const Option> options, int count, char **words);

  const std::vector<std::string> &positional() const { return positional_; }
  bool has(const char *name) const { return !all(name).empty(); }
  /// The last value given.
  std::optional<std::string> text(const char *name) const;
  std::vector<std::string> all(const char *name) const;
  /// Leave `value` as it is when the option is absent.
  Status integer(const char *name, int64_t low, int64_t high, int64_t &value) const;
  Status number(const char *name, double low, double high, double &value) const;

private:
  struct Given {
    std::string name, value;
  };
  std::vector<Given> given;
  std::vector<std::string> positional_;
};

struct Command {
  const char *name, *operands, *summary, *description;
  std::span<const Option> options;
  /// Returns an exit status; has printed what went wrong.
  int (*run)(const Arguments &arguments);
};

/// One per sub-command, each defined in the file of that name.
extern const Command benchCommand, generateCommand, inspectCommand, runCommand, selfcheckCommand;

/// Prints an error and returns the exit status for it.
int complain(const Status &status, Exit exit = kBadInput);
/// Complains about the command line itself.
int misuse(const Command &command, const std::string &message);

/// Runs the sub-command that words[1] names.
int dispatch(std::span<const Command *const> commands, int count, char **words);

} // namespace moec::tools
