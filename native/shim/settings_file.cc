#include "shim/settings_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <string_view>

#include "base/environment.h"
#include "base/text_file.h"
#include "relay/setting_fields.h"

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

// The file that holds; one that is named and not there is a mistake.
std::string SettingsFile() {
  std::string named = Variable("SPLICEPORT_CONFIG");
  if (!named.empty()) return named;
  std::string users = UsersFile();
  const bool has_own = !users.empty() && LookAt(users) != Found::kNothing;
  if (has_own) return users;
  return kSystemFile;
}

}  // namespace

bool IsWithoutSettings() {
  const Found found = LookAt(SettingsFile());
  const bool is_named = !Variable("SPLICEPORT_CONFIG").empty();
  return found == Found::kEmpty || (found == Found::kNothing && !is_named);
}

bool SettingsMayHaveGates() {
  constexpr size_t kMostBytes = 4'096;  // That are read.
  const std::string text = ReadTextFile(SettingsFile());
  const bool is_doubtful =
      text.empty() || text.size() >= kMostBytes || text.find("\\u") != std::string::npos;
  return is_doubtful ||
         std::any_of(kGateNames.begin(), kGateNames.end(),
                     [&](std::string_view name) { return text.find(name) != std::string::npos; });
}

}  // namespace spliceport::shim
