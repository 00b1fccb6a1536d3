#include "shim/settings_file.h"

#include <sys/stat.h>

#include <cerrno>
#include <string>

#include "base/environment.h"

namespace spliceport::shim {

namespace {

constexpr const char* kSystemFile = "/etc/spliceport/config.json";

enum class Found : uint8_t { kNothing, kEmpty, kSomething };

// A folder that this user may not search counts as empty: sudo may leave another user's HOME.
Found LookAt(const std::string& path) {
  struct stat file {};
  if (stat(path.c_str(), &file) != 0)
    return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? Found::kNothing
                                                                  : Found::kSomething;
  const bool is_empty = file.st_size == 0 && (S_ISREG(file.st_mode) || S_ISCHR(file.st_mode));
  return is_empty ? Found::kEmpty : Found::kSomething;
}

std::string UsersFile() {
  const std::string config = Variable("XDG_CONFIG_HOME");
  const std::string home = Variable("HOME");
  if (config.starts_with('/')) return config + "/spliceport/config.json";
  return home.starts_with('/') ? home + "/.config/spliceport/config.json" : "";
}

}  // namespace

bool IsWithoutSettings() {
  // One that is named and not there is a mistake.
  const std::string named = Variable("SPLICEPORT_CONFIG");
  if (!named.empty()) return LookAt(named) == Found::kEmpty;
  const std::string users = UsersFile();
  const Found found = users.empty() ? Found::kNothing : LookAt(users);
  return found == Found::kNothing ? LookAt(kSystemFile) != Found::kSomething
                                  : found == Found::kEmpty;
}

}  // namespace spliceport::shim
