#include "runtime/Status.h"

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace moec::runtime {
namespace {

thread_local std::string lastError;

} // namespace

Status failure(moec_status code, const char *format, ...) {
  va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  std::string text(std::vsnprintf(nullptr, 0, format, arguments), '\0');
  std::vsnprintf(text.data(), text.size() + 1, format, again);
  va_end(arguments);
  va_end(again);
  return {code, std::move(text)};
}

Status systemFailure(const char *what, const std::string &path) {
  const char *reason = std::strerror(errno);
  return failure(MOEC_IO, "cannot %s '%s': %s", what, path.c_str(), reason);
}

moec_status report(const Status &status) {
  if (status)
    lastError = status.message();
  return status.code();
}

} // namespace moec::runtime

const char *moec_last_error() { return moec::runtime::lastError.c_str(); }
