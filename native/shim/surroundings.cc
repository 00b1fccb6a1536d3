#include "shim/surroundings.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/environment.h"
#include "base/text_file.h"

namespace spliceport::shim {

namespace {

// A resident has some descriptors for each of many containers.
constexpr rlim_t kFewestFiles = 4'096;
// The version of the protocol, which only grows.
constexpr std::string_view kVersion = "v1";

bool IsUnlimited(__rlimit_resource resource) {
  rlimit limit{};
  return getrlimit(resource, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY &&
         limit.rlim_max == RLIM_INFINITY;
}

bool MayHaveFiles() {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max >= kFewestFiles;
}

bool HasPriority() {
  errno = 0;
  return getpriority(PRIO_PROCESS, 0) == 0 && errno == 0;
}

// The user as the parent namespace knows it.
uint64_t OuterUser() {
  const uint64_t user = geteuid();
  const std::string map = ReadTextFile("/proc/self/uid_map");
  const char* at = map.c_str();
  while (*at != '\0') {
    char* end = nullptr;
    const uint64_t inside = std::strtoull(at, &end, 10);
    const uint64_t outside = std::strtoull(end, &end, 10);
    const uint64_t count = std::strtoull(end, &end, 10);
    if (user >= inside && user - inside < count) return outside + (user - inside);
    if (end == at) break;
    for (at = end; *at == '\n';)
      ++at;
  }
  return user;
}

std::optional<std::string> NameOf(const char* ns) {
  struct stat file {};
  if (stat(ns, &file) != 0) return std::nullopt;
  return std::to_string(file.st_ino);
}

}  // namespace

bool MayFound() {
  const std::string status = ReadTextFile("/proc/self/status");
  const auto says = [&](std::string_view line) { return status.find(line) != std::string::npos; };
  // Old kernels do not have all of the lines.
  const bool is_filtered = says("\nSeccomp:\t1\n") || says("\nSeccomp:\t2\n");
  return says("\nPid:\t") && !is_filtered && !says("\nNoNewPrivs:\t1\n") && HasPriority() &&
         IsUnlimited(RLIMIT_AS) && IsUnlimited(RLIMIT_CPU) && MayHaveFiles();
}

std::string ResidentFolder() {
  const std::string runtime = Variable("XDG_RUNTIME_DIR");
  if (runtime.starts_with('/')) return runtime + "/spliceport-resident";
  return UserFolder("spliceport-resident");
}

std::string UserFolder(const std::string& name) {
  return "/tmp/" + name + "-" + std::to_string(OuterUser());
}

std::optional<std::string> ResidentName() {
  const auto user = NameOf("/proc/self/ns/user");
  const auto network = NameOf("/proc/self/ns/net");
  if (!user || !network) return std::nullopt;
  return *user + "-" + *network + "-" + std::string(kVersion);
}

}  // namespace spliceport::shim
