#include "support/child.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdio>
#include <iostream>
#include <utility>

#include "support/support.h"

namespace spliceport {

namespace {

// A body that takes longer hangs.
constexpr unsigned kPatienceSeconds = 120;

std::pair<UniqueFd, UniqueFd> NewPipe() {
  int ends[2];
  REQUIRE(pipe2(ends, O_CLOEXEC) == 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

pid_t Fork() {
  // Or both would write what is in the buffers.
  std::cout.flush();
  (void)std::fflush(nullptr);
  const pid_t pid = fork();
  REQUIRE(pid >= 0);
  return pid;
}

// The test program's handlers would report what happens here as its own.
void BecomeOrdinary() {
  for (const int number : {SIGSEGV, SIGABRT, SIGTERM, SIGFPE, SIGILL, SIGINT})
    (void)std::signal(number, SIG_DFL);
  alarm(kPatienceSeconds);
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

std::string InChild(const std::function<void(Findings&)>& body) {
  auto [out, in] = NewPipe();
  const pid_t pid = Fork();
  if (pid == 0) {
    out.Reset();
    BecomeOrdinary();
    Findings findings;
    try {
      body(findings);
    } catch (...) {
      // REQUIRE throws; without this, the copy would go on with the next test case.
      findings.Expect(false, "a requirement failed");
    }
    const std::string& text = findings.text();
    (void)!write(in.get(), text.data(), text.size());
    _exit(text.empty() ? 0 : 1);
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
  pid_ = Fork();
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

namespace {

constexpr size_t kMaxConnections = 1'024;
constexpr size_t kEchoBytes = 64 << 10;

struct Connection {
  size_t size = 0;
  size_t sent = 0;
  char bytes[kEchoBytes];
};

// Where the child has them.
constexpr int kListener = 3;
constexpr int kHold = 4;
constexpr nfds_t kFirst = 2;

// The two, then the connections. Static, since a copy of a program with threads must not allocate.
pollfd pollers[kFirst + kMaxConnections];
Connection connections[kFirst + kMaxConnections];

// Whether the connection goes on.
bool EchoSome(pollfd& poller, Connection& connection) {
  if (connection.sent == connection.size) {
    const ssize_t count = read(poller.fd, connection.bytes, kEchoBytes);
    if (count <= 0) return count < 0 && errno == EAGAIN;
    connection.size = static_cast<size_t>(count);
    connection.sent = 0;
  }
  const ssize_t count = send(poller.fd, connection.bytes + connection.sent,
                             connection.size - connection.sent, MSG_NOSIGNAL);
  if (count < 0 && errno != EAGAIN) return false;
  if (count > 0) connection.sent += static_cast<size_t>(count);
  poller.events = connection.sent < connection.size ? POLLOUT : POLLIN;
  return true;
}

void ServeUntilReleased() {
  nfds_t used = kFirst;
  pollers[0] = {kListener, POLLIN, 0};
  pollers[1] = {kHold, POLLIN, 0};
  while (pollers[1].revents == 0) {
    pollers[0].events = used < kFirst + kMaxConnections ? POLLIN : 0;
    poll(pollers, used, -1);
    for (nfds_t i = used - 1; i >= kFirst; --i) {
      if (pollers[i].revents == 0 || EchoSome(pollers[i], connections[i])) continue;
      close(pollers[i].fd);
      pollers[i] = pollers[--used];
      connections[i] = connections[used];
    }
    if ((pollers[0].revents & POLLIN) == 0) continue;
    const int fd = accept4(kListener, nullptr, nullptr, SOCK_NONBLOCK);
    if (fd < 0) continue;
    connections[used].size = connections[used].sent = 0;
    pollers[used++] = {fd, POLLIN, 0};
  }
}

}  // namespace

EchoProcess::EchoProcess(int netns) {
  UniqueFd listener;
  const auto listen = [&] {
    auto opened = OpenHostSocket(Protocol::kTcp, *Address::Parse("127.0.0.1", 0), false);
    if (opened.ok()) listener = std::move(opened.value());
  };
  if (netns < 0) listen();
  if (netns >= 0) InNamespace(netns, listen);
  REQUIRE(listener.valid());
  address_ = LocalAddress(listener.get()).value();
  auto [out, in] = NewPipe();
  pid_ = Fork();
  if (pid_ != 0) {
    hold_ = std::move(in);
    return;
  }
  BecomeOrdinary();
  // Of what this copy has, only these two: the sockets of others must be able to end. Above them
  // first, lest one be in the place of the other.
  const int listens = fcntl(listener.get(), F_DUPFD, kHold + 1);
  const int holds = fcntl(out.get(), F_DUPFD, kHold + 1);
  dup2(listens, kListener);
  dup2(holds, kHold);
  close_range(kHold + 1, ~0U, 0);
  ServeUntilReleased();
  _exit(0);
}

EchoProcess::~EchoProcess() {
  hold_.Reset();
  waitpid(pid_, nullptr, 0);
}

}  // namespace spliceport
