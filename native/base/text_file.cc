#include "base/text_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>

#include "base/unique_fd.h"

namespace spliceport {

std::string ReadTextFile(const std::string& path) {
  const UniqueFd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 4096> bytes{};
  const ssize_t count = file.valid() ? read(file.get(), bytes.data(), bytes.size()) : 0;
  return {bytes.data(), count > 0 ? static_cast<size_t>(count) : 0};
}

std::string ReadFirstLine(const std::string& path) {
  const std::string text = ReadTextFile(path);
  return text.substr(0, text.find('\n'));
}

}  // namespace spliceport
