#include "docker/daemon.h"

#include <fcntl.h>
#include <poll.h>
#include <syslog.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/low_fds.h"

namespace spliceport::docker {

namespace {

constexpr int kAnswerFd = 3;
// A reader that does not read must not keep this process from forwarding.
constexpr int kPatienceMillis = 1'000;

void WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written > 0) {
      text.remove_prefix(static_cast<size_t>(written));
      continue;
    }
    pollfd waiting{.fd = fd, .events = POLLOUT, .revents = 0};
    const bool may_go_on =
        errno == EINTR || (errno == EAGAIN && poll(&waiting, 1, kPatienceMillis) > 0);
    if (!may_go_on) return;
  }
}

void PutOnStandardError(std::string_view text) {
  std::string line("docker-proxy: ");
  WriteAll(STDERR_FILENO, line.append(text).append("\n"));
}

}  // namespace

Daemon::Daemon() : listens_(fcntl(kAnswerFd, F_GETFD) >= 0) { OccupyFds(kListenerFd); }

void Daemon::SayReady() { Answer("0\n"); }

int Daemon::SayFailure(std::string_view reason) {
  std::string answer("1\n");
  Answer(answer.append(reason).append("\n"));
  PutOnStandardError(reason);
  return 1;
}

void Daemon::Answer(std::string_view text) {
  if (!std::exchange(listens_, false)) return;
  WriteAll(kAnswerFd, text);
  close(kAnswerFd);
}

void Log(const std::string& text) {
  PutOnStandardError(text);
  openlog("spliceport docker-proxy", LOG_PID, LOG_DAEMON);
  syslog(LOG_WARNING, "%s", text.c_str());
  closelog();
}

}  // namespace spliceport::docker
