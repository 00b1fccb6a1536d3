// epoll.h: an epoll set whose events go to handlers, and the eventfd by which other threads wake it.
// Owns:   the epoll descriptor. Handlers are borrowed: they leave the set (or close their descriptor) before they die,
//         and live on until the batch of events in hand is done; Reactor::Bury sees to it.
// Thread: the worker's; Waker::Wake may be called from any.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <span>

#include "result.h"
#include "unique_fd.h"

namespace spliceport {

class EventHandler {
 public:
  virtual void OnEvents(uint32_t events) = 0;

 protected:
  ~EventHandler() = default;
};

class Epoll {
 public:
  static Result<Epoll> Create();
  Result<void> Add(int fd, uint32_t events, EventHandler& handler);
  void Remove(int fd);
  // Waits at most `timeout_millis` (-1: for ever) and hands out what came. The number of events.
  int Dispatch(std::span<epoll_event> batch, int timeout_millis);

 private:
  explicit Epoll(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

class Waker {
 public:
  static Result<Waker> Create();
  int fd() const { return fd_.get(); }
  void Wake();
  void Drain();

 private:
  explicit Waker(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace spliceport
