// Reloads: tells a rootlessport helper its container's address, again and again, as Podman does
// after `podman network connect`, so many times or until standard input ends.

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <string>

#include "histogram.h"
#include "modes.h"
#include "report.h"
#include "socket.h"

namespace spliceport::bench {
namespace {

constexpr int64_t kUntilTold = 1'000'000'000;
constexpr time_t kPatienceSeconds = 10;

bool ReloadOnce(const sockaddr_un& address, const std::string& message) {
  UniqueFd fd(Must(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), "socket"));
  const timeval patience = {kPatienceSeconds, 0};
  Must(setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), "SO_RCVTIMEO");
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) < 0) {
    return false;
  }
  if (send(fd.get(), message.data(), message.size(), MSG_NOSIGNAL) < 0) return false;
  char reply[512];
  const ssize_t count = recv(fd.get(), reply, sizeof(reply), 0);
  return count >= 2 && memcmp(reply, "OK", 2) == 0;
}

}  // namespace

int Reload(Options& options) {
  const std::string path = options.Text("socket", "");
  const std::string message = "\"" + options.Text("address", "127.0.0.1") + "\"\n";
  const auto pause_millis = static_cast<int>(options.Integer("pause-ms", 20));
  const auto most = static_cast<double>(options.Integer("count", kUntilTold));
  options.RefuseOthers();
  sockaddr_un address = {AF_UNIX, {}};
  if (path.size() >= sizeof(address.sun_path)) Die(path.c_str(), ENAMETOOLONG);
  memcpy(address.sun_path, path.c_str(), path.size());

  double reloads = 0;
  double errors = 0;
  Histogram latency;
  Report().Print("begin");
  // Standard input becomes readable at its end.
  for (pollfd input = {STDIN_FILENO, POLLIN, 0};
       reloads < most && poll(&input, 1, pause_millis) == 0;) {
    reloads++;
    const int64_t begin = Now();
    if (!ReloadOnce(address, message)) errors++;
    latency.Record(Now() - begin);
  }
  Report().Add("reloads", reloads).Add("errors", errors).AddLatency(latency).Print();
  return 0;
}

}  // namespace spliceport::bench
