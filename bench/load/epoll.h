// epoll.h: an epoll set whose tokens are indexes or pointers of the caller's choice.
#pragma once

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <span>

#include "base.h"

namespace spliceport::bench {

class Epoll {
 public:
  Epoll() : fd_(Must(epoll_create1(EPOLL_CLOEXEC), "epoll_create1")) {}

  void Add(int fd, uint32_t events, uint64_t token) { Control(EPOLL_CTL_ADD, fd, events, token); }
  void Change(int fd, uint32_t events, uint64_t token) {
    Control(EPOLL_CTL_MOD, fd, events, token);
  }

  // What is ready, as soon as something is.
  std::span<epoll_event> Wait() { return WaitMillis(-1); }

  // What is ready after at most `timeout_nanos`, rounded up to a millisecond; at once when it is
  // not positive.
  std::span<epoll_event> Wait(int64_t timeout_nanos) {
    const int64_t millis = (timeout_nanos + kNanosPerMilli - 1) / kNanosPerMilli;
    return WaitMillis(static_cast<int>(std::max<int64_t>(millis, 0)));
  }

 private:
  std::span<epoll_event> WaitMillis(int timeout_millis) {
    const int count = epoll_wait(fd_.get(), events_.data(), events_.size(), timeout_millis);
    if (count < 0 && errno != EINTR) Die("epoll_wait");
    return {events_.data(), static_cast<size_t>(count < 0 ? 0 : count)};
  }

  void Control(int operation, int fd, uint32_t events, uint64_t token) {
    epoll_event event = {events, {.u64 = token}};
    Must(epoll_ctl(fd_.get(), operation, fd, &event), "epoll_ctl");
  }

  UniqueFd fd_;
  std::array<epoll_event, 256> events_;
};

}  // namespace spliceport::bench
