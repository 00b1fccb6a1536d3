// epoll.h: an epoll set whose events go to handlers, and the eventfd by which other threads wake
//          it.
// Owns:   the epoll descriptor, and the table from events to handlers. Handlers are borrowed, and
//         call Forget before they are destroyed.
// Thread: the worker's; Waker::Wake may be called from any.
// Kernel: closing a descriptor removes it from the set only with its last copy, and a process
//         between fork and exec has copies. So events may come for a closed descriptor, and must
//         find no handler.
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
  // A handler gets events of the descriptor that was last added for it, and of no other.
  Result<void> Add(int fd, uint32_t events, EventHandler& handler);
  void Remove(int fd);
  // The handler gets no more events, whatever is in the set.
  void Forget(EventHandler& handler);
  // Waits at most `timeout_millis` (-1: for ever). Returns the part of `room` with the events, for
  // Dispatch.
  std::span<const epoll_event> Wait(std::span<epoll_event> room, int timeout_millis);
  void Dispatch(std::span<const epoll_event> events);
  // The number of handlers that have had events since the last call of BeginPeriod.
  size_t busy_handlers() const { return busy_handlers_; }
  void BeginPeriod() {
    ++period_;
    busy_handlers_ = 0;
  }

 private:
  struct Slot {
    EventHandler* handler = nullptr;
    uint32_t generation = 0;  // Of the descriptor that was last added.
    uint32_t period = 0;      // The last one in which it had events.
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
