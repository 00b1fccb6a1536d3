#include "base/errno_text.h"

#include <array>
#include <cstring>

namespace spliceport {

std::string ErrnoText(int error) {
  std::array<char, 128> room{};
  return strerror_r(error, room.data(), room.size());
}

}  // namespace spliceport
