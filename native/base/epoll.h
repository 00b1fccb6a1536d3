// epoll.h: an epoll set whose events go to handlers, and the eventfd by which other threads wake it.
// Owns:   the epoll descriptor, and the table that leads from an event to its handler. Handlers are borrowed, and call
//         Forget before they die.
// Thread: the worker's; Waker::Wake may be called from any.
// Kernel: closing a descriptor takes it out of the set only with its last copy, and a process that is between fork and
//         exec has copies. So events may come for what is closed, and must find that nobody is there.
#pragma once

#include <sys/epoll.h>

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace spliceport {

class EventHandler {
 public:
  virtual void OnEvents(uint32_t events) = 0;

 protected:
  ~EventHandler() = default;

 private:
  friend class Epoll;
  static constexpr uint32_t kNoSlot = UINT32_MAX;
  uint32_t slot_ = kNoSlot;
};

class Epoll {
 public:
  static Result<Epoll> Create();
  // A handler hears of the descriptor that was added last for it, and of no other.
  Result<void> Add(int fd, uint32_t events, EventHandler& handler);
  void Remove(int fd);
  // The handler hears nothing more, whatever is in the set.
  void Forget(EventHandler& handler);
  // Waits at most `timeout_millis` (-1: for ever). The part of `room` that holds what came, for HandOut.
  std::span<const epoll_event> Wait(std::span<epoll_event> room, int timeout_millis);
  void HandOut(std::span<const epoll_event> events);
  // Handlers that have heard anything since the last call of BeginPeriod.
  size_t busy_handlers() const { return busy_handlers_; }
  void BeginPeriod() {
    ++period_;
    busy_handlers_ = 0;
  }

 private:
  struct Slot {
    EventHandler* handler = nullptr;
    uint32_t generation = 0;  // Of what was added last.
    uint32_t period = 0;      // In which it heard something last.
  };
  explicit Epoll(UniqueFd fd) : fd_(std::move(fd)) {}
  uint32_t SlotOf(EventHandler& handler);

  UniqueFd fd_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_slots_;
  uint32_t period_ = 1;
  size_t busy_handlers_ = 0;
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
