// Starts helpers as Podman starts its own: the configuration on standard input, the exit and ready
// pipes as descriptors 3 and 4. Tells when all are ready, lets go of them when standard input ends,
// and tells when the ports are free. Native, because starting a program costs Node more than the
// helpers that are measured need.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <vector>

#include "modes.h"
#include "report.h"
#include "socket.h"

namespace spliceport::bench {
namespace {

constexpr int64_t kReadyDeadlineNanos = 60 * kNanosPerSecond;
constexpr int64_t kEndDeadlineNanos = 10 * kNanosPerSecond;
constexpr int kExitFd = 3;
constexpr int kReadyFd = 4;

double MillisSince(int64_t begin) { return static_cast<double>(Now() - begin) / kNanosPerMilli; }

// What to start: lines of `program PATH`, `env NAME=VALUE` and, for each helper, `config PATH`.
struct Plan {
  explicit Plan(const std::string& path) {
    std::ifstream file(path);
    if (!file) Die(path.c_str());
    for (std::string line; std::getline(file, line);) {
      const size_t blank = line.find(' ');
      const std::string word = line.substr(0, blank);
      const std::string rest = line.substr(blank + 1);
      if (word == "program") program = rest;
      if (word == "env") environment.push_back(rest);
      if (word == "config") configurations.push_back(Contents(rest));
    }
  }

  static std::string Contents(const std::string& path) {
    std::ifstream file(path);
    if (!file) Die(path.c_str());
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }

  std::string program;
  std::vector<std::string> environment;
  std::vector<std::string> configurations;
};

struct Pipe {
  Pipe() {
    int fds[2];
    Must(pipe2(fds, O_CLOEXEC), "pipe2");
    read = Above(fds[0]);
    write = Above(fds[1]);
  }

  // Out of the way of the numbers that the helper is given.
  static UniqueFd Above(int fd) {
    const UniqueFd low(fd);
    return UniqueFd(Must(fcntl(fd, F_DUPFD_CLOEXEC, 10), "fcntl"));
  }

  UniqueFd read;
  UniqueFd write;
};

// How all helpers are started.
class Spawner {
 public:
  explicit Spawner(Plan& plan) : program_(plan.program) {
    for (std::string& variable : plan.environment)
      environment_.push_back(variable.data());
    environment_.push_back(nullptr);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    posix_spawnattr_init(&attributes_);
    posix_spawnattr_setsigdefault(&attributes_, &set);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGDEF);
  }

  pid_t Start(const Pipe& input, const Pipe& exit, const Pipe& ready) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input.read.get(), STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, exit.read.get(), kExitFd);
    posix_spawn_file_actions_adddup2(&actions, ready.write.get(), kReadyFd);
    char* const arguments[] = {program_.data(), nullptr};
    pid_t pid = -1;
    const int error =
        posix_spawn(&pid, program_.c_str(), &actions, &attributes_, arguments, environment_.data());
    if (error != 0) Die(program_.c_str(), error);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
  }

 private:
  std::string program_;
  std::vector<char*> environment_;
  posix_spawnattr_t attributes_;
};

struct Helper {
  pid_t pid;
  UniqueFd exit;
  UniqueFd ready;
};

class Helpers {
 public:
  // Starts all, at most `together` of them being unready at a time.
  void Start(Plan& plan, size_t together) {
    Spawner spawner(plan);
    const int64_t begin = Now();
    for (const std::string& configuration : plan.configurations) {
      while (unready_ >= together)
        AwaitOne(begin);
      StartOne(spawner, configuration);
    }
    while (unready_ > 0)
      AwaitOne(begin);
    Report().Add("readyMs", MillisSince(begin)).Print("ready");
  }

  void LetGo() {
    for (Helper& helper : helpers_)
      helper.exit.Reset();
  }

  void AwaitEnd(int64_t begin) {
    for (Helper& helper : helpers_) {
      while (waitpid(helper.pid, nullptr, WNOHANG) == 0) {
        if (Now() - begin > kEndDeadlineNanos) kill(helper.pid, SIGKILL);
        usleep(100);
      }
    }
  }

 private:
  void StartOne(Spawner& spawner, const std::string& configuration) {
    Pipe input;
    Pipe exit;
    Pipe ready;
    const pid_t pid = spawner.Start(input, exit, ready);
    helpers_.push_back({pid, std::move(exit.write), std::move(ready.read)});
    unready_++;
    const ssize_t size = static_cast<ssize_t>(configuration.size());
    // A helper that is gone already says why by itself.
    if (write(input.write.get(), configuration.data(), configuration.size()) != size &&
        errno != EPIPE) {
      Die("write");
    }
  }

  void AwaitOne(int64_t begin) {
    std::vector<pollfd> polled;
    for (const Helper& helper : helpers_)
      polled.push_back({helper.ready.get(), POLLIN, 0});
    const int64_t left = kReadyDeadlineNanos - (Now() - begin);
    const int count = poll(polled.data(), polled.size(),
                           static_cast<int>(std::max<int64_t>(left / kNanosPerMilli, 0)));
    if (count <= 0) Die("helpers are not ready", ETIMEDOUT);
    for (size_t i = 0; i < polled.size(); i++) {
      if (polled[i].revents != 0) TakeReady(helpers_[i]);
    }
  }

  void TakeReady(Helper& helper) {
    char byte = 0;
    if (read(helper.ready.get(), &byte, 1) != 1 || byte != '1') {
      // What it says may still be on its way.
      usleep(50'000);
      Die("a helper ended before it was ready", ECHILD);
    }
    helper.ready.Reset();
    unready_--;
  }

  std::vector<Helper> helpers_;
  size_t unready_ = 0;
};

// Whether nobody has the port. Sockets in TIME_WAIT are nobody's.
bool IsFree(const Address& address, int type) {
  const UniqueFd fd(Must(socket(address.family(), type | SOCK_CLOEXEC, 0), "socket"));
  if (type == SOCK_STREAM) SetOption(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
  return bind(fd.get(), address.get(), address.length) == 0;
}

void AwaitFree(const Address& address, int type, int64_t begin) {
  while (!IsFree(address, type)) {
    if (Now() - begin > kEndDeadlineNanos) Die("the port is not free", ETIMEDOUT);
    usleep(20);
  }
}

}  // namespace

int Launch(Options& options) {
  Plan plan(options.Text("plan", ""));
  const Address first = ParseAddress(options.Text("first", ""));
  const Address last = ParseAddress(options.Text("last", ""));
  const int type = options.Text("protocol", "tcp") == "udp" ? SOCK_DGRAM : SOCK_STREAM;
  const auto together = static_cast<size_t>(options.Integer("together", 1'000));
  options.RefuseOthers();

  Helpers helpers;
  helpers.Start(plan, std::max<size_t>(together, 1));
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  const int64_t begin = Now();
  helpers.LetGo();
  AwaitFree(first, type, begin);
  AwaitFree(last, type, begin);
  Report report;
  report.Add("goneMs", MillisSince(begin));
  helpers.AwaitEnd(begin);
  report.Print();
  return 0;
}

}  // namespace spliceport::bench
