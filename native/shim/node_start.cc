#include "shim/node_start.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <string_view>

namespace spliceport::shim {

namespace {

constexpr int kListenerOfResident = 3;
// The kernel doubles a full table of descriptors, which takes 10 ms and more in a process with
// threads. This one is as large as thousands of containers need.
constexpr int kTableSize = 4'000;
constexpr std::array<std::string_view, 6> kKeptVariables{
    "HOME=",           "PATH=", "XDG_RUNTIME_DIR=", "XDG_CONFIG_HOME=", "SPLICEPORT_CONFIG=",
    "SPLICEPORT_NODE="};

// All that exec needs, made before the fork.
struct Program {
  explicit Program(const NodeStart& start) : node(start.node), path(start.program) {
    for (char** variable = environ; *variable != nullptr; ++variable) {
      const auto is_kept = [&](std::string_view name) {
        return std::string_view(*variable).starts_with(name);
      };
      if (std::any_of(kKeptVariables.begin(), kKeptVariables.end(), is_kept))
        environment.push_back(*variable);
    }
    environment.push_back(nullptr);
  }

  std::string node;
  std::string path;
  // There is next to no work for threads of node's own. With young objects in 1 MiB instead of 16,
  // a resident that is asked for metrics again and again takes a third of the memory. What is
  // compiled ahead of time holds for the same flags alone.
  std::string pool = "--v8-pool-size=1";
  std::string young = "--max-semi-space-size=1";
  std::array<char*, 5> arguments{node.data(), pool.data(), young.data(), path.data(), nullptr};
  std::vector<char*> environment;
};

// What the caller made of signals, priorities and descriptors is for its own container.
void LeaveCaller(const NodeStart& start, int nothing) {
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal)
    sigaction(signal, &action, nullptr);
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  if (chdir("/") != 0) _exit(1);
  umask(S_IRWXG | S_IRWXO);
  for (const int fd : start.inherited)
    if (fd > STDERR_FILENO) close(fd);
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd)
    if (dup2(nothing, fd) < 0) _exit(1);
}

[[noreturn]] void Run(const NodeStart& start, Program& program, int nothing) {
  LeaveCaller(start, nothing);
  close(fcntl(nothing, F_DUPFD_CLOEXEC, kTableSize));
  // A copy of a descriptor onto itself would be closed on exec.
  const bool is_there = start.listener == kListenerOfResident;
  if ((is_there ? fcntl(kListenerOfResident, F_SETFD, 0)
                : dup2(start.listener, kListenerOfResident)) < 0)
    _exit(1);
  execve(program.node.c_str(), program.arguments.data(), program.environment.data());
  _exit(1);
}

}  // namespace

Result<void> StartNode(const NodeStart& start) {
  Program program(start);
  const UniqueFd nothing(open("/dev/null", O_RDWR | O_CLOEXEC));
  if (!nothing.valid()) return LastError("open");
  const pid_t child = fork();
  if (child < 0) return LastError("fork");
  if (child == 0) {
    setsid();
    const pid_t grandchild = fork();
    if (grandchild == 0) Run(start, program, nothing.get());
    _exit(grandchild > 0 ? 0 : 1);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return LastError("waitpid");
  if (status != 0) return SysError{-EAGAIN, "fork"};
  return {};
}

}  // namespace spliceport::shim
