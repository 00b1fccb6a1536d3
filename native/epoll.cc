#include "epoll.h"

#include <sys/eventfd.h>

namespace spliceport {

Result<Epoll> Epoll::Create() {
  UniqueFd fd(epoll_create1(EPOLL_CLOEXEC));
  if (!fd.valid()) return LastError("epoll_create1");
  return Epoll(std::move(fd));
}

Result<void> Epoll::Add(int fd, uint32_t events, EventHandler& handler) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = &handler;
  if (epoll_ctl(fd_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return LastError("epoll_ctl");
  return {};
}

void Epoll::Remove(int fd) { epoll_ctl(fd_.get(), EPOLL_CTL_DEL, fd, nullptr); }

int Epoll::Dispatch(std::span<epoll_event> batch, int timeout_millis) {
  const int count =
      epoll_wait(fd_.get(), batch.data(), static_cast<int>(batch.size()), timeout_millis);
  if (count < 0) {
    Check(errno == EINTR, "epoll_wait failed");
    return 0;
  }
  for (int i = 0; i < count; ++i) {
    static_cast<EventHandler*>(batch[i].data.ptr)->OnEvents(batch[i].events);
  }
  return count;
}

Result<Waker> Waker::Create() {
  UniqueFd fd(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd.valid()) return LastError("eventfd");
  return Waker(std::move(fd));
}

void Waker::Wake() {
  // Fails only when the counter is at its maximum, and then the other side is awake anyway.
  (void)eventfd_write(fd_.get(), 1);
}

void Waker::Drain() {
  eventfd_t count = 0;
  (void)eventfd_read(fd_.get(), &count);
}

}  // namespace spliceport
