#include "ptx/Cursor.h"

#include <bit>
#include <cctype>
#include <cstdlib>

namespace vgpu::ptx {

const Token &Cursor::take() {
  const Token &token = peek();
  if (token.kind == Token::Kind::End)
    fail("the text ends too early");
  ++position;
  return token;
}

bool Cursor::accept(std::string_view text) {
  if (!is(text))
    return false;
  ++position;
  return true;
}

void Cursor::expect(std::string_view text) {
  if (!accept(text))
    fail("expected '" + std::string(text) + "', but found '" + std::string(peek().text) + "'");
}

int64_t Cursor::integer() {
  bool isNegative = accept("-");
  bool isFloat32, isFloat64;
  uint64_t bits = number(isFloat32, isFloat64);
  if (isFloat32 || isFloat64)
    fail("expected an integer");
  return static_cast<int64_t>(isNegative ? -bits : bits);
}

uint64_t Cursor::number(bool &isFloat32, bool &isFloat64) {
  isFloat32 = isFloat64 = false;
  if (peek().kind != Token::Kind::Number)
    fail("expected a number, but found '" + std::string(peek().text) + "'");
  std::string text(take().text);
  char mark = text.size() > 2 && text[0] == '0' ? static_cast<char>(std::tolower(text[1])) : '\0';
  if (mark == 'f' || mark == 'd') {
    (mark == 'f' ? isFloat32 : isFloat64) = true;
    return std::strtoull(text.c_str() + 2, nullptr, 16);
  }
  if (mark == 'b')
    return std::strtoull(text.c_str() + 2, nullptr, 2);
  if (text.find('.') != std::string::npos) {
    isFloat64 = true;
    return std::bit_cast<uint64_t>(std::strtod(text.c_str(), nullptr));
  }
  return std::strtoull(text.c_str(), nullptr, 0);
}

void Cursor::skipLine() {
  int line = peek().line;
  while (!atEnd() && peek().line == line)
    ++position;
}

void Cursor::skipStatement() {
  while (!accept(";"))
    take();
}

void Cursor::skipBraces() {
  while (!accept("{"))
    take();
  for (int depth = 1; depth > 0;) {
    std::string_view text = take().text;
    depth += text == "{";
    depth -= text == "}";
  }
}

} // namespace vgpu::ptx
