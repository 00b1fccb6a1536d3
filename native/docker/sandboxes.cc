#include "docker/sandboxes.h"

#include <fcntl.h>
#include <malloc.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread.h"
#include "base/unique_fd.h"
#include "routes/rtnetlink.h"

namespace spliceport::docker {

namespace {

// dockerd names a namespace after the first digits of its sandbox's id.
constexpr size_t kNameLength = 12;
constexpr std::string_view kFolder = "/netns/";
// Fields of a line of mountinfo before its end: proc(5).
constexpr int kMountPointField = 4;
constexpr size_t kBufferBytes = 4'096;

bool IsSandbox(std::string_view path) {
  if (path.size() < kFolder.size() + kNameLength) return false;
  const std::string_view end = path.substr(path.size() - kFolder.size() - kNameLength);
  return end.starts_with(kFolder) &&
         end.find_first_not_of("0123456789abcdef", kFolder.size()) == std::string_view::npos;
}

// The mount point, if a namespace is mounted there.
std::optional<std::string> SandboxIn(std::string_view line) {
  if (line.find(" - nsfs ") == std::string_view::npos) return std::nullopt;
  for (int field = 0; field < kMountPointField; ++field)
    line.remove_prefix(std::min(line.size(), line.find(' ') + 1));
  const std::string_view path = line.substr(0, line.find(' '));
  if (!IsSandbox(path)) return std::nullopt;
  return std::string(path);
}

// Wherever dockerd's --exec-root is. Oldest first.
std::vector<std::string> ListSandboxes() {
  std::vector<std::string> paths;
  const UniqueFd file(open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC));
  std::array<char, kBufferBytes> buffer;  // NOLINT(*-member-init): read fills it.
  std::string line;
  for (;;) {
    const ssize_t count = read(file.get(), buffer.data(), buffer.size());
    if (count <= 0) return paths;
    for (const char c : std::string_view(buffer.data(), static_cast<size_t>(count))) {
      if (c != '\n') {
        line += c;
        continue;
      }
      if (auto path = SandboxIn(line)) paths.push_back(std::move(*path));
      line.clear();
    }
  }
}

class Search {
 public:
  explicit Search(const Address& address) : address_(address.WithoutPort()) {}

  std::string Run() {
    auto home = RouteSocket::Open();
    if (!home.ok()) return "";
    auto bridge = home.value().InterfaceOf(address_);
    if (!bridge.ok() || bridge.value() == 0) return "";
    std::vector<std::string> paths = ListSandboxes();
    // The one that has just been made is most likely to be it.
    std::reverse(paths.begin(), paths.end());
    for (const std::string& path : paths) {
      const UniqueFd sandbox(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
      if (!sandbox.valid() || setns(sandbox.get(), CLONE_NEWNET) != 0) continue;
      if (IsBehind(home.value(), bridge.value())) return path;
    }
    return "";
  }

 private:
  // Whether the thread's namespace has the address, on a veth pair that ends in this bridge.
  bool IsBehind(RouteSocket& home, uint32_t bridge) {
    auto here = RouteSocket::Open();
    if (!here.ok()) return false;
    auto addresses = here.value().Addresses();
    if (!addresses.ok()) return false;
    for (const InterfaceAddress& own : addresses.value()) {
      if (!(own.address == address_)) continue;
      auto link = here.value().LinkOf(own.interface);
      if (!link.ok() || link.value().peer == 0) continue;
      auto other = home.LinkOf(link.value().peer);
      if (other.ok() && other.value().bridge == bridge && other.value().peer == own.interface)
        return true;
    }
    return false;
  }

  const Address address_;
};

}  // namespace

std::string FindSandbox(const Address& address) {
  std::string found;
  Thread thread;
  if (!thread.Start([&] { found = Search(address).Run(); }).ok()) return "";
  thread.Join();
#ifdef __GLIBC__
  // What the kernel's answers took is not needed again.
  malloc_trim(0);
#endif
  return found;
}

}  // namespace spliceport::docker
