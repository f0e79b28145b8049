//===- Status.h - success, or what went wrong ------------------------------===//
#pragma once

#include "moec/runtime.h"

#include <string>

namespace moec::runtime {

/// Converts to true when it is a failure:
///   if (Status error = check()) return error;
class [[nodiscard]] Status {
public:
  Status() = default;
  Status(moec_status code, std::string message) : code_(code), message_(std::move(message)) {}

  explicit operator bool() const { return code_ != MOEC_OK; }
  moec_status code() const { return code_; }
  const std::string &message() const { return message_; }

private:
  moec_status code_ = MOEC_OK;
  std::string message_;
};

/// A failure with a message in printf's format.
__attribute__((format(printf, 2, 3))) Status failure(moec_status code, const char *format, ...);

/// A failure of a system call on `path`, with errno's text.
Status systemFailure(const char *what, const std::string &path);

/// Keeps the message for moec_last_error and returns the code.
moec_status report(const Status &status);

} // namespace moec::runtime
