#include "tools/moec/Command.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace moec::tools {
namespace {

const Option *find(std::span<const Option> options, const std::string &name) {
  for (const Option &option : options)
    if (name == option.name)
      return &option;
  return nullptr;
}

void help(const Command &command) {
  std::printf("usage: moec %s %s\n\n%s\n", command.name, command.operands, command.description);
  for (const Option &option : command.options) {
    std::string left = std::string(option.name) + (option.value ? " " : "");
    if (option.value)
      left += option.value;
    std::printf("\n  %-26s %s", left.c_str(), option.help);
  }
  std::printf("\n");
}

void help(std::span<const Command *const> commands, FILE *stream) {
  std::fprintf(stream, "usage: moec COMMAND ...\n\n");
  for (const Command *command : commands)
    std::fprintf(stream, "  %-10s %s\n", command->name, command->summary);
  std::fprintf(stream, "\n`moec COMMAND --help` tells more.\n");
}

bool isHelp(const char *word) { return !std::strcmp(word, "--help") || !std::strcmp(word, "-h"); }

} // namespace

Status Arguments::parse(std::span<const Option> options, int count, char **words) {
  for (int i = 0; i < count; ++i) {
    std::string word = words[i], value;
    if (word.size() < 2 || word[0] != '-') {
      positional_.push_back(word);
      continue;
    }
    size_t equals = word.find('=');
    bool attached = equals != std::string::npos;
    if (attached) {
      value = word.substr(equals + 1);
      word.resize(equals);
    }
    const Option *option = find(options, word);
    if (!option)
      return failure(MOEC_INVALID_ARGUMENT, "there is no option '%s'", word.c_str());
    if (!option->value && attached)
      return failure(MOEC_INVALID_ARGUMENT, "option '%s' takes no value", word.c_str());
    if (option->value && !attached) {
      if (++i == count)
        return failure(MOEC_INVALID_ARGUMENT, "option '%s' needs a value", word.c_str());
      value = words[i];
    }
    given.push_back({word, value});
  }
  return {};
}

std::vector<std::string> Arguments::all(const char *name) const {
  std::vector<std::string> values;
  for (const Given &option : given)
    if (option.name == name)
      values.push_back(option.value);
  return values;
}

std::optional<std::string> Arguments::text(const char *name) const {
  std::vector<std::string> values = all(name);
  return values.empty() ? std::nullopt : std::optional(values.back());
}

Status Arguments::integer(const char *name, int64_t low, int64_t high, int64_t &value) const {
  std::optional<std::string> word = text(name);
  if (!word)
    return {};
  char *end = nullptr;
  errno = 0;
  long long parsed = std::strtoll(word->c_str(), &end, 10);
  if (word->empty() || *end || errno || parsed < low || parsed > high)
    return failure(MOEC_INVALID_ARGUMENT,
                   "option '%s' needs an integer from %lld to %lld, not '%s'", name,
                   static_cast<long long>(low), static_cast<long long>(high), word->c_str());
  value = parsed;
  return {};
}

Status Arguments::number(const char *name, double low, double high, double &value) const {
  std::optional<std::string> word = text(name);
  if (!word)
    return {};
  char *end = nullptr;
  double parsed = std::strtod(word->c_str(), &end);
  if (word->empty() || *end || !(parsed >= low && parsed <= high))
    return failure(MOEC_INVALID_ARGUMENT, "option '%s' needs a number from %g to %g, not '%s'",
                   name, low, high, word->c_str());
  value = parsed;
  return {};
}

int complain(const Status &status, Exit exit) {
  std::fflush(stdout);
  std::fprintf(stderr, "error: %s\n", status.message().c_str());
  return exit;
}

int misuse(const Command &command, const std::string &message) {
  std::fprintf(stderr, "error: %s\nusage: moec %s %s\n", message.c_str(), command.name,
               command.operands);
  return kBadUsage;
}

int dispatch(std::span<const Command *const> commands, int count, char **words) {
  if (count < 2 || isHelp(words[1]) || !std::strcmp(words[1], "help")) {
    help(commands, count < 2 ? stderr : stdout);
    return count < 2 ? kBadUsage : kDone;
  }
  if (!std::strcmp(words[1], "--version")) {
    std::printf("moec %s\n", MOEC_VERSION);
    return kDone;
  }
  for (const Command *command : commands) {
    if (std::strcmp(command->name, words[1]) != 0)
      continue;
    for (int i = 2; i < count; ++i)
      if (isHelp(words[i]))
        return help(*command), kDone;
    Arguments arguments;
    if (Status error = arguments.parse(command->options, count - 2, words + 2))
      return misuse(*command, error.message());
    return command->run(arguments);
  }
  std::fprintf(stderr, "error: there is no command '%s'\n", words[1]);
  help(commands, stderr);
  return kBadUsage;
}

} // namespace moec::tools
