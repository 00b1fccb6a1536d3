#include "child.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>

#include <csignal>
#include <utility>

namespace spliceport {

namespace {

// A body that takes longer hangs.
constexpr unsigned kPatienceSeconds = 120;

std::pair<UniqueFd, UniqueFd> NewPipe() {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

std::string ReadAll(int fd) {
  std::string text;
  char buffer[1'024];
  for (;;) {
    const ssize_t count = read(fd, buffer, sizeof(buffer));
    if (count <= 0) return text;
    text.append(buffer, static_cast<size_t>(count));
  }
}

}  // namespace

std::string InChild(const std::function<std::string()>& body) {
  auto [out, in] = NewPipe();
  const pid_t pid = fork();
  REQUIRE(pid >= 0);
  if (pid == 0) {
    out.Reset();
    // The test program's handlers would report the failure as its own.
    for (const int number : {SIGSEGV, SIGABRT, SIGTERM, SIGFPE, SIGILL, SIGINT})
      std::signal(number, SIG_DFL);
    alarm(kPatienceSeconds);
    const std::string text = body();
    const bool told =
        write(in.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
    _exit(told && text.empty() ? 0 : 1);
  }
  in.Reset();
  std::string text = ReadAll(out.get());
  int status = 0;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  if (WIFSIGNALED(status)) text += "killed by signal " + std::to_string(WTERMSIG(status));
  if (WIFEXITED(status) && WEXITSTATUS(status) != 0 && text.empty())
    text = "exit code " + std::to_string(WEXITSTATUS(status));
  return text;
}

ForkedHolder::ForkedHolder() {
  auto [out, in] = NewPipe();
  pid_ = fork();
  REQUIRE(pid_ >= 0);
  if (pid_ == 0) {
    in.Reset();
    char byte = 0;
    (void)!read(out.get(), &byte, 1);
    _exit(0);
  }
  hold_ = std::move(in);
}

ForkedHolder::~ForkedHolder() {
  hold_.Reset();
  waitpid(pid_, nullptr, 0);
}

}  // namespace spliceport
