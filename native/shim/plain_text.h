// plain_text.h: reads JSON in the one form in which encoders write it: without spaces, with
//               numbers as digits, and with texts of printable ASCII that needs no escape.
// Owns:   nothing; it looks at its text.
// Thread: any; a value.
// Fails:  what is in any other form is not there. It may be good JSON, which is for others to say.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace spliceport::shim {

class PlainText {
 public:
  explicit PlainText(std::string_view text) : left_(text) {}

  bool at_end() const { return left_.empty(); }
  // Whether it goes on with this, which is taken.
  bool Take(std::string_view expected);
  std::optional<std::string_view> String();
  // A number of at most nine digits.
  std::optional<uint32_t> Number();
  std::optional<bool> Truth();

 private:
  std::string_view left_;
};

}  // namespace spliceport::shim
