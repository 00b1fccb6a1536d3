#include "shim/docker_proxy.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/memory_trim.h"
#include "docker/arguments.h"
#include "docker/daemon.h"
#include "docker/host_side.h"
#include "docker/original.h"
#include "shim/docker_process.h"

namespace spliceport::shim {

namespace {

// The kernel doubles a table of descriptors that is full, and in a process with threads that takes
// milliseconds. So it has room for some sessions from the start.
constexpr int kTableSize = 511;

void RaiseFileLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
  close(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, kTableSize));
}

// Returns the exit code; or none, and why nothing is served. Then nothing is left of what was done.
std::optional<int> Serve(Caller& caller, const DockerProcess::Work& work, std::string& failure) {
  auto epoll = Epoll::Create();
  if (!epoll.ok()) {
    failure = docker::DescribeError(epoll.error());
    return std::nullopt;
  }
  Loop loop(std::move(epoll.value()));
  const Installation installation = Installation::Find();
  Signals signals;
  DockerProcess process(loop, caller, signals, installation, work);
  const std::optional<int> code = process.Run();
  failure = process.failure();
  if (!code) signals.Restore();
  return code;
}

int ServeOrder(std::span<char* const> words, Caller& caller, docker::Daemon& daemon,
               const docker::Arguments& arguments) {
  const docker::CheckedOrder checked = docker::CheckArguments(arguments);
  if (!checked.order) return daemon.SayFailure(checked.failure);
  RaiseFileLimit();
  std::string failure;
  const auto code = Serve(caller, {daemon, *checked.order, arguments.has_listener}, failure);
  if (code) return *code;
  const std::string reason = "spliceport cannot start: " + failure;
  docker::BecomeOriginal(words, reason);
  return daemon.SayFailure(reason);
}

}  // namespace

int RunDockerProxy(std::span<char* const> words) {
  // First: it notes which descriptors are dockerd's.
  Caller caller;
  docker::Daemon daemon;
  ShareOneArena();
  const docker::ParsedArguments parsed = docker::ParseArguments(words.subspan(1));
  if (parsed.arguments.asks_version) {
    const std::string_view version = "docker-proxy (spliceport) version " SPLICEPORT_VERSION "\n";
    return write(STDOUT_FILENO, version.data(), version.size()) < 0 ? 1 : 0;
  }
  if (!parsed.failure.empty()) {
    docker::BecomeOriginal(words, "spliceport does not know this: " + parsed.failure);
    return daemon.SayFailure(parsed.failure);
  }
  if (parsed.arguments.protocol == "sctp") {
    docker::BecomeOriginal(words, "spliceport does not forward SCTP");
    return daemon.SayFailure(
        "spliceport does not forward SCTP, and Docker's own docker-proxy, which does, is not "
        "installed");
  }
  return ServeOrder(words, caller, daemon, parsed.arguments);
}

}  // namespace spliceport::shim
