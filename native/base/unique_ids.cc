#include "base/unique_ids.h"

#include <sys/random.h>

#include <cstddef>

#include "base/check.h"

namespace spliceport {

std::string UniqueIds::Next() {
  while (next_ == 0) {
    // Up to 256 bytes come whole and uninterrupted, getrandom(2).
    Check(getrandom(&next_, sizeof(next_), 0) == sizeof(next_), "getrandom failed");
  }
  constexpr int kDigits = 16;
  std::string text(kDigits, '0');
  uint64_t rest = next_++;
  for (size_t i = kDigits; i > 0; --i, rest >>= 4)
    text[i - 1] = "0123456789abcdef"[rest & 0xf];
  return text;
}

}  // namespace spliceport
