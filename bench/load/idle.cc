// Idle connections: opens N, each of which has proved with one exchange that it reaches the server,
// and holds them until standard input ends. Then it asks each once more.

#include <poll.h>

#include <vector>

#include "modes.h"
#include "report.h"
#include "socket.h"

namespace spliceport::bench {
namespace {

constexpr int kAnswerTimeoutMillis = 1'000;
// So many failures in a row mean that the forwarder has reached its limit.
constexpr int kFailuresToStop = 4;

bool Await(int fd, short events) {
  pollfd wait = {fd, events, 0};
  return poll(&wait, 1, kAnswerTimeoutMillis) == 1 && (wait.revents & events);
}

bool Ask(int fd) {
  char byte = 0;
  if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1) return false;
  return Await(fd, POLLIN) && recv(fd, &byte, 1, 0) == 1;
}

UniqueFd Establish(const Address& address) {
  const Hello hello = {Hello::kAnswer, 1, 1};
  UniqueFd fd = StartConnectTcp(address);
  if (fd && Await(fd.get(), POLLOUT) &&
      send(fd.get(), &hello, sizeof(hello), MSG_NOSIGNAL) == sizeof(hello) && Ask(fd.get())) {
    return fd;
  }
  return UniqueFd();
}

}  // namespace

int HoldIdle(Options& options) {
  const Address address = ParseAddress(options.Text("to", ""));
  const int64_t wanted = options.Integer("connections", 1'000);
  options.RefuseOthers();

  std::vector<UniqueFd> held;
  int64_t errors = 0;
  int failures_in_a_row = 0;
  for (int64_t i = 0; i < wanted && failures_in_a_row < kFailuresToStop; i++) {
    UniqueFd fd = Establish(address);
    failures_in_a_row = fd ? 0 : failures_in_a_row + 1;
    if (!fd) errors++;
    if (fd) held.push_back(std::move(fd));
  }
  Report().Add("held", static_cast<double>(held.size())).Print("begin");

  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  int64_t answered = 0;
  for (const UniqueFd& fd : held)
    answered += Ask(fd.get()) ? 1 : 0;
  Report()
      .Add("held", static_cast<double>(held.size()))
      .Add("answered", static_cast<double>(answered))
      .Add("errors", static_cast<double>(wanted - answered))
      .Print();
  return 0;
}

}  // namespace spliceport::bench
