#include "shim/own_folder.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <string_view>
#include <vector>

#include "base/folder.h"
#include "base/timer.h"

namespace spliceport::shim {

namespace {

constexpr mode_t kOthers = S_IRWXG | S_IRWXO;
constexpr std::string_view kEnding = ".sock";
// How often the folder is made, if another process removes it because it is empty.
constexpr int kMaxAttempts = 100;

// Of a name such as 12.sock or .12-3.sock, the process; 0 if it is none of these.
pid_t ProcessOf(std::string_view name) {
  if (!name.ends_with(kEnding)) return 0;
  name.remove_suffix(kEnding.size());
  if (name.starts_with('.')) name.remove_prefix(1);
  pid_t pid = 0;
  const char* end = name.data() + name.size();
  auto [rest, error] = std::from_chars(name.data(), end, pid);
  if (error != std::errc() || pid <= 0) return 0;
  if (rest == end) return pid;
  uint32_t number = 0;
  if (*rest != '-') return 0;
  const auto [last, wrong] = std::from_chars(rest + 1, end, number);
  return wrong == std::errc() && last == end ? pid : 0;
}

bool IsRefused(int folder, const std::string& name) {
  return ConnectUnix(UnixType::kStream, folder, name).error().code == -ECONNREFUSED;
}

// A process of another pid namespace seems not to run, which is why its socket is tried. One of a
// living process is not: it would have to start what answers calls.
bool IsStale(int folder, const std::string& name) {
  const pid_t pid = ProcessOf(name);
  if (pid == 0) return false;
  // It has shown all that it has.
  const bool is_own = pid == getpid() && name.starts_with('.');
  return (is_own || (kill(pid, 0) != 0 && errno == ESRCH)) && IsRefused(folder, name);
}

void RemoveStale(int folder) {
  for (const std::string& name : NamesIn(folder))
    if (IsStale(folder, name)) unlinkat(folder, name.c_str(), 0);
}

Result<NamedSocket> Name(UniqueFd listener, UniqueFd folder, const std::string& name) {
  struct stat file {};
  if (fstatat(folder.get(), name.c_str(), &file, AT_SYMLINK_NOFOLLOW) != 0)
    return LastError("lstat");
  return NamedSocket{name, file.st_dev, file.st_ino, std::move(listener), std::move(folder)};
}

Result<void> Show(int folder, const std::string& hidden, const std::string& name) {
  if (linkat(folder, hidden.c_str(), folder, name.c_str(), 0) == 0) return {};
  if (errno != EEXIST || !IsRefused(folder, name)) return LastError("link");
  // Left behind by an earlier process that had the same pid.
  unlinkat(folder, name.c_str(), 0);
  if (linkat(folder, hidden.c_str(), folder, name.c_str(), 0) != 0) return LastError("link");
  return {};
}

// It is shown once it listens.
Result<NamedSocket> ListenUnderOwnName(UniqueFd folder) {
  const std::string pid = std::to_string(getpid());
  const std::string hidden =
      "." + pid + "-" + std::to_string(NowMicros() % 1'000'000'000) + ".sock";
  auto listener = ListenUnix(UnixType::kStream, folder.get(), hidden);
  if (!listener.ok()) return listener.error();
  const std::string name = pid + std::string(kEnding);
  const Result<void> shown = Show(folder.get(), hidden, name);
  unlinkat(folder.get(), hidden.c_str(), 0);
  if (!shown.ok()) return shown.error();
  return Name(std::move(listener.value()), std::move(folder), name);
}

}  // namespace

Result<UniqueFd> OpenOwnFolder(const std::string& path, IfOpen if_open) {
  if (mkdir(path.c_str(), S_IRWXU) != 0 && errno != EEXIST) return LastError("mkdir");
  UniqueFd folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder.valid()) return LastError("open");
  struct stat facts {};
  if (fstat(folder.get(), &facts) != 0) return LastError("fstat");
  if (facts.st_uid != geteuid()) return SysError{-EACCES, "open"};
  if ((facts.st_mode & kOthers) == 0) return folder;
  if (if_open == IfOpen::kRefuse) return SysError{-EACCES, "open"};
  if (fchmod(folder.get(), S_IRWXU) != 0) return LastError("fchmod");
  return folder;
}

Result<NamedSocket> ListenInPlace(UnixType type, UniqueFd folder, const std::string& name) {
  unlinkat(folder.get(), name.c_str(), 0);
  auto listener = ListenUnix(type, folder.get(), name);
  if (!listener.ok()) return listener.error();
  return Name(std::move(listener.value()), std::move(folder), name);
}

Result<NamedSocket> ListenForControlIn(const std::string& path) {
  for (int attempt = 1;; ++attempt) {
    auto folder = OpenOwnFolder(path, IfOpen::kRefuse);
    if (!folder.ok()) return folder.error();
    RemoveStale(folder.value().get());
    auto socket = ListenUnderOwnName(std::move(folder.value()));
    if (socket.ok() || socket.error().code != -ENOENT || attempt == kMaxAttempts) return socket;
  }
}

}  // namespace spliceport::shim
