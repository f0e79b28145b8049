#include "driver/Environment.h"

#include <cstdlib>
#include <stdexcept>

namespace vgpu {
namespace {

/// The number that `read(text, end)` finds, if that is all of the text.
template <class T, class Read> T numberOf(const char *name, T otherwise, Read read) {
  std::string text = environment(name);
  if (text.empty())
    return otherwise;
  char *end = nullptr;
  T value = read(text.c_str(), &end);
  if (*end || text.front() == '-')
    throw std::invalid_argument(std::string(name) + " is '" + text + "', which is no number");
  return value;
}

} // namespace

std::string environment(const char *name, const char *otherwise) {
  const char *value = std::getenv(name);
  return value && *value ? value : otherwise;
}

bool environmentIs(const char *name, const char *only) {
  std::string text = environment(name);
  if (!text.empty() && text != only)
    throw std::invalid_argument(std::string(name) + " is '" + text + "', but can only be '" + only +
                                "'");
  return !text.empty();
}

uint64_t environmentInteger(const char *name, uint64_t otherwise) {
  return numberOf(name, otherwise,
                  [](const char *text, char **end) { return std::strtoull(text, end, 0); });
}

double environmentNumber(const char *name, double otherwise) {
  return numberOf(name, otherwise,
                  [](const char *text, char **end) { return std::strtod(text, end); });
}

} // namespace vgpu
