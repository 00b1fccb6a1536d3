// dockerd starts a process for each port, protocol and address family, one after the other, and
// each `docker run -p` waits for all of them. So a start does only what one port needs, with one
// worker.
//
// A dockerd of today makes the container's network namespace before this process, an older one
// after it. So it is looked for again while it is not found; until then, and if it never is,
// connections cross the bridge.
//
// SIGINT is dockerd's word that the port is gone; it waits for the end without a limit. SIGTERM
// comes when dockerd itself has ended (PR_SET_PDEATHSIG), once for each of its threads. Then
// containers may go on without it (live-restore), and a new dockerd will want to bind the port
// again: the host socket is closed, and open sessions go on to their end.

#include "docker/proxy.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/environment.h"
#include "base/memory_trim.h"
#include "docker/arguments.h"
#include "docker/daemon.h"
#include "docker/host_side.h"
#include "docker/original.h"
#include "docker/sandboxes.h"
#include "engine/engine.h"
#include "relay/configure.h"

namespace spliceport::docker {

namespace {

constexpr int kForward = 1;
// Longer than any session, and short enough to be added to a time.
constexpr int64_t kUntilTheLastEnds = int64_t{1} << 52;

// When the container's namespace is looked for again: milliseconds after the time before.
constexpr std::array kLookAgainMillis{20, 100, 400, 1'500, 6'000, 20'000};

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

// SIGINT and SIGTERM, as a descriptor.
UniqueFd WatchSignals() {
  (void)signal(SIGPIPE, SIG_IGN);
  sigset_t watched;
  sigemptyset(&watched);
  sigaddset(&watched, SIGINT);
  sigaddset(&watched, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &watched, nullptr);
  return UniqueFd(signalfd(-1, &watched, SFD_CLOEXEC));
}

// In place of WatchSignals, for the program that is executed next.
void UnblockSignals() {
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);
  (void)signal(SIGPIPE, SIG_DFL);
}

bool MayEnterContainer() { return Variable("SPLICEPORT_DOCKER_TARGET") != "bridge"; }

class Proxy final : private EngineEvents {
 public:
  Proxy() : signals_(WatchSignals()), gone_(eventfd(0, EFD_CLOEXEC)) {}

  // Forwards from then on.
  Result<void> Start(const Order& order, UniqueFd host_socket) {
    if (!signals_.valid() || !gone_.valid()) return SysError{-EMFILE, "eventfd"};
    target_ = order.target;
    const NetnsPtr netns = MayEnterContainer() ? FindSandbox(target_) : nullptr;
    if (netns || !MayEnterContainer()) looks_ = kLookAgainMillis.size();
    EngineFields fields;
    fields.workers = 1;
    auto engine = Engine::Create(SettingsFrom(fields, fields.workers), *this);
    if (!engine.ok()) return engine.error();
    engine_ = std::move(engine.value());
    ForwardConfig config;
    config.id = kForward;
    config.protocol = order.protocol;
    config.host_socket = std::make_shared<const UniqueFd>(std::move(host_socket));
    config.target = std::make_shared<const Target>(Target{netns, target_});
    Configure(config, {});
    return engine_->Add({config});
  }

  // Until it is to end, or its last session has.
  void Serve() {
    std::array<pollfd, 2> sources{{{signals_.get(), POLLIN, 0}, {gone_.get(), POLLIN, 0}}};
    for (;;) {
      const int ready = poll(sources.data(), sources.size(), Patience());
      if (ready == 0) LookAgain();
      if (ready <= 0) continue;
      if (sources[1].revents != 0) return;
      signalfd_siginfo received{};
      if (read(signals_.get(), &received, sizeof(received)) < 0) continue;
      if (received.ssi_signo == SIGINT) return;
      if (std::exchange(drains_, true)) continue;
      engine_->Remove({kForward}, kUntilTheLastEnds);
      looks_ = kLookAgainMillis.size();
    }
  }

 private:
  void OnRemoved(int /*id*/) override { (void)eventfd_write(gone_.get(), 1); }
  void OnConnectFailed(int /*id*/, const ConnectFailure& /*failure*/) override {}

  int Patience() const {
    return looks_ < kLookAgainMillis.size() ? kLookAgainMillis.at(looks_) : -1;
  }

  void LookAgain() {
    const NetnsPtr netns = FindSandbox(target_);
    ++looks_;
    if (!netns) return;
    engine_->Retarget({{kForward, std::make_shared<const Target>(Target{netns, target_})}});
    looks_ = kLookAgainMillis.size();
  }

  UniqueFd signals_;
  UniqueFd gone_;
  Address target_;
  size_t looks_ = 0;
  bool drains_ = false;
  // Last: its worker uses what is above.
  std::unique_ptr<Engine> engine_;
};

// dockerd's texts have no name of a system call.
std::string StartFailure(SysError error) {
  return "spliceport cannot start: " + DescribeError(error);
}

int Serve(std::span<char* const> words, Daemon& daemon, const Arguments& arguments) {
  const CheckedOrder checked = CheckArguments(arguments);
  if (!checked.order) return daemon.SayFailure(checked.failure);
  RaiseFileLimit();
  HostSide host = arguments.has_listener ? AdoptListener(*checked.order, kListenerFd)
                                         : OpenListener(*checked.order);
  if (!host.socket.valid()) return daemon.SayFailure(host.failure);
  auto proxy = std::make_unique<Proxy>();
  const Result<void> started = proxy->Start(*checked.order, std::move(host.socket));
  if (!started.ok()) {
    // Closes the host socket, which the other one opens again if it is not descriptor 4.
    proxy.reset();
    UnblockSignals();
    BecomeOriginal(words, StartFailure(started.error()));
    return daemon.SayFailure(StartFailure(started.error()));
  }
  if (arguments.has_listener) close(kListenerFd);
  daemon.SayReady();
  proxy->Serve();
  // dockerd waits for the end: the kernel closes everything at once.
  _exit(0);
}

}  // namespace

int RunProxy(std::span<char* const> words) {
  Daemon daemon;
  ShareOneArena();
  const ParsedArguments parsed = ParseArguments(words.subspan(1));
  if (parsed.arguments.asks_version) {
    const std::string_view version = "docker-proxy (spliceport) version " SPLICEPORT_VERSION "\n";
    return write(STDOUT_FILENO, version.data(), version.size()) < 0 ? 1 : 0;
  }
  if (!parsed.failure.empty()) {
    BecomeOriginal(words, "spliceport does not know this: " + parsed.failure);
    return daemon.SayFailure(parsed.failure);
  }
  if (parsed.arguments.protocol == "sctp") {
    BecomeOriginal(words, "spliceport does not forward SCTP");
    return daemon.SayFailure(
        "spliceport does not forward SCTP, and Docker's own docker-proxy, which does, is not "
        "installed");
  }
  return Serve(words, daemon, parsed.arguments);
}

}  // namespace spliceport::docker
