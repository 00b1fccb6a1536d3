// main.cc: the program that container engines execute.

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <span>

#include "base/memory_trim.h"
#include "docker/arguments.h"
#include "shim/docker_proxy.h"
#include "shim/own_process.h"
#include "shim/process.h"

namespace spliceport::shim {

namespace {

// The kernel doubles a table of descriptors that is full. In a process with threads that takes 10
// to 15 ms each time, in the midst of opening ports or accepting clients.
constexpr int kTableSize = 2'047;

// As many files as may be, for clients.
class FileLimit {
 public:
  FileLimit() {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit most{.rlim_cur = before_.rlim_max, .rlim_max = before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &most);
    close(fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, kTableSize));
  }
  void Restore() const { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

std::optional<int> Serve(Caller& caller, Signals& signals, const Installation& installation) {
  auto epoll = Epoll::Create();
  if (!caller.has_proc() || !epoll.ok()) return std::nullopt;
  Loop loop(std::move(epoll.value()));
  return Process(loop, caller, signals, installation).Run();
}

int Main() {
  // Processes are looked for by this name, whatever the path that led here.
  prctl(PR_SET_NAME, "rootlessport");
  ShareOneArena();
  Caller caller;
  const Installation installation = Installation::Find();
  Signals signals;
  FileLimit limit;
  const bool is_read = caller.ReadConfiguration().ok();
  if (const auto code = is_read ? Serve(caller, signals, installation) : std::nullopt) return *code;
  limit.Restore();
  signals.Restore();
  std::optional<std::span<const char>> configuration;
  if (is_read) configuration = caller.configuration();
  Caller::Tell(BecomeOwnProcess(installation, configuration));
  return 1;
}

}  // namespace

}  // namespace spliceport::shim

int main(int argc, char** argv) {
  const std::span words(argv, static_cast<size_t>(argc));
  if (spliceport::docker::IsForProxy(words)) return spliceport::shim::RunDockerProxy(words);
  if (argc <= 1) return spliceport::shim::Main();
  spliceport::shim::Caller::Warn(
      "too many arguments, rootlessport expects a json config via STDIN");
  return 1;
}
