#include "shim/plain_text.h"

#include <algorithm>

namespace spliceport::shim {

namespace {

constexpr size_t kMaxDigits = 9;

bool IsDigit(char character) { return character >= '0' && character <= '9'; }

bool NeedsNoEscape(char character) {
  return character >= ' ' && character <= '~' && character != '"' && character != '\\';
}

}  // namespace

bool PlainText::Take(std::string_view expected) {
  if (!left_.starts_with(expected)) return false;
  left_.remove_prefix(expected.size());
  return true;
}

std::optional<std::string_view> PlainText::String() {
  if (!Take("\"")) return std::nullopt;
  const auto* end = std::find_if_not(left_.begin(), left_.end(), &NeedsNoEscape);
  const std::string_view text(left_.begin(), end);
  left_.remove_prefix(text.size());
  if (!Take("\"")) return std::nullopt;
  return text;
}

std::optional<uint32_t> PlainText::Number() {
  const auto* end = std::find_if_not(left_.begin(), left_.end(), &IsDigit);
  const std::string_view digits(left_.begin(), end);
  const bool is_padded = digits.size() > 1 && digits.starts_with('0');
  if (digits.empty() || digits.size() > kMaxDigits || is_padded) return std::nullopt;
  left_.remove_prefix(digits.size());
  uint32_t value = 0;
  for (const char digit : digits)
    value = value * 10 + static_cast<uint32_t>(digit - '0');
  return value;
}

std::optional<bool> PlainText::Truth() {
  if (Take("true")) return true;
  if (Take("false")) return false;
  return std::nullopt;
}

}  // namespace spliceport::shim
