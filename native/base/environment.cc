#include "base/environment.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace spliceport {

std::string Variable(const char* name) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes the environment
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

std::vector<std::string> SearchPath() {
  const std::string path = Variable("PATH");
  std::vector<std::string> folders;
  std::string_view rest = path;
  while (!rest.empty()) {
    const std::string& folder = folders.emplace_back(rest.substr(0, rest.find(':')));
    rest.remove_prefix(std::min(rest.size(), folder.size() + 1));
  }
  return folders;
}

}  // namespace spliceport
