#include "runtime/SizeText.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace moec::runtime {
namespace {

using Size = std::optional<int64_t>;

class SizeReader {
public:
  SizeReader(std::string_view text, const Symbols &symbols) : text(text), symbols(symbols) {}

  Size whole() {
    if (int64_t size = symbols.find(text); size >= 0)
      return size;
    Size result = sum();
    return text.empty() ? result : std::nullopt;
  }

private:
  bool take(std::string_view word) {
    if (text.substr(0, word.size()) != word)
      return false;
    text.remove_prefix(word.size());
    return true;
  }

  Size sum() {
    Size left = product();
    while (left) {
      bool isMinus = take(" - ");
      if (!isMinus && !take(" + "))
        break;
      Size right = product();
      int64_t result;
      if (!right || (isMinus ? __builtin_sub_overflow(*left, *right, &result)
                             : __builtin_add_overflow(*left, *right, &result)))
        return std::nullopt;
      left = result;
    }
    return left;
  }

  Size product() {
    Size left = part();
    while (left && take(" * ")) {
      Size right = part();
      int64_t result;
      if (!right || __builtin_mul_overflow(*left, *right, &result))
        return std::nullopt;
      left = result;
    }
    return left;
  }

  Size part() {
    if (!text.empty() && text.front() == '(')
      return parentheses();
    std::string_view word = text.substr(0, text.find_first_of(" (),"));
    text.remove_prefix(word.size());
    if (take("("))
      return function(word);
    int64_t number;
    auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error == std::errc() && end == word.data() + word.size())
      return number;
    int64_t size = symbols.find(word);
    return size >= 0 ? Size(size) : std::nullopt;
  }

  /// Of two sums, behind the opening parenthesis.
  Size function(std::string_view name) {
    Size left = sum();
    if (!left || !take(", "))
      return std::nullopt;
    Size right = sum();
    if (!right || !take(")"))
      return std::nullopt;
    if (name == "max")
      return std::max(*left, *right);
    if (name == "min")
      return std::min(*left, *right);
    if (name == "broadcast")
      return *left == 1 ? *right : *left;
    if (*left < 0 || *right <= 0)
      return std::nullopt;
    if (name == "floordiv")
      return *left / *right;
    if (name == "ceildiv")
      return *left / *right + (*left % *right != 0);
    return name == "mod" ? Size(*left % *right) : std::nullopt;
  }

  /// A name or a sum.
  Size parentheses() {
    size_t depth = 0, end = 0;
    for (; end < text.size(); ++end) {
      depth += text[end] == '(';
      if (text[end] == ')' && --depth == 0)
        break;
    }
    if (end == text.size())
      return std::nullopt;
    Size inside = SizeReader(text.substr(1, end - 1), symbols).whole();
    text.remove_prefix(end + 1);
    return inside;
  }

  std::string_view text;
  const Symbols &symbols;
};

} // namespace

int64_t evaluateSize(std::string_view text, const Symbols &symbols) {
  Size size = SizeReader(text, symbols).whole();
  return size && *size >= 0 ? *size : -1;
}

} // namespace moec::runtime
