#include "net/setns.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

#include "base/thread.h"

namespace spliceport {

Result<std::shared_ptr<const Netns>> Netns::From(int borrowed_fd) {
  UniqueFd fd(fcntl(borrowed_fd, F_DUPFD_CLOEXEC, 0));
  if (!fd.valid()) return LastError("fcntl");
  struct stat status {};
  if (fstat(fd.get(), &status) != 0) return LastError("fstat");
  return std::shared_ptr<const Netns>(new Netns(std::move(fd), status.st_dev, status.st_ino));
}

Result<void> NetnsCursor::Enter(const NetnsPtr& netns) {
  if (IsSame(netns, current_)) return {};
  if (!home_.valid()) {
    home_.Reset(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    if (!home_.valid()) return LastError("open");
  }
  if (setns(netns ? netns->fd() : home_.get(), CLONE_NEWNET) != 0) return LastError("setns");
  current_ = netns;
  return {};
}

void NetnsCursor::LeaveIfIn(const Netns& netns) {
  if (current_ && current_->IsSameAs(netns)) Enter(nullptr).Ignore();
}

Result<void> RunIn(int netns_fd, const std::function<Result<void>()>& action) {
  Result<void> outcome;
  Thread thread;
  const auto started = thread.Start([&] {
    const bool entered = netns_fd < 0 || setns(netns_fd, CLONE_NEWNET) == 0;
    outcome = entered ? action() : LastError("setns");
  });
  if (!started.ok()) return started;
  thread.Join();
  return outcome;
}

Result<void> ProbeNetns(int netns_fd) {
  return RunIn(netns_fd, [] { return Result<void>(); });
}

}  // namespace spliceport
