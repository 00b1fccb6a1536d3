#include "shim/loop.h"

#include <array>

namespace spliceport::shim {

void Loop::RunOnce() {
  constexpr size_t kEvents = 32;
  std::array<epoll_event, kEvents> room{};
  epoll.Dispatch(epoll.Wait(room, timers.MillisUntilNext()));
  timers.RunDue();
}

Result<void> Watch::Start(int fd, uint32_t events) {
  Stop();
  const Result<void> added = loop_.epoll.Add(fd, events, *this);
  if (added.ok()) fd_ = fd;
  return added;
}

void Watch::Stop() {
  if (fd_ < 0) return;
  loop_.epoll.Remove(std::exchange(fd_, -1));
  loop_.epoll.Forget(*this);
}

}  // namespace spliceport::shim
