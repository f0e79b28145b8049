#pragma once
// Tokens of PTX text.

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace vgpu::ptx {

/// Text that is not PTX, or PTX that this machine does not know.
struct SyntaxError : std::runtime_error {
  SyntaxError(int line, const std::string &message)
      : std::runtime_error("ptx line " + std::to_string(line) + ": " + message) {}
};

/// A word keeps its dots: `ld.global.v2.f32`, `%tid.x`, `.visible` and
/// `.shared::cta` are one token each; a directive has one dot. Everything else
/// is a single character.
struct Token {
  enum class Kind : uint8_t { End, Word, Number, String, Symbol };
  Kind kind = Kind::End;
  std::string_view text;
  int line = 0;
};

/// Splits `text`, which the tokens point into; the last token is the end.
std::vector<Token> tokenize(std::string_view text);

} // namespace vgpu::ptx
