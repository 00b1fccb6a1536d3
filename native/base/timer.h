// timer.h: the deadlines of one worker, in an indexed binary heap: arm and cancel in O(log n), the
//          next one in O(1).
// Owns:   nothing. A Timer is a member or base of what it wakes, and cancels itself when destroyed.
// Thread: the worker's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace spliceport {

// CLOCK_MONOTONIC. Unit: microseconds.
int64_t NowMicros();

class TimerQueue;

class Timer {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  bool armed() const { return queue_ != nullptr; }

 protected:
  ~Timer();
  virtual void OnTimer() = 0;

 private:
  friend class TimerQueue;
  TimerQueue* queue_ = nullptr;
  size_t index_ = 0;
  int64_t deadline_ = 0;
};

class TimerQueue {
 public:
  // Moves an armed timer. `deadline` is on NowMicros()'s clock.
  void Arm(Timer& timer, int64_t deadline);
  void Cancel(Timer& timer);
  // Calls OnTimer of all timers that are due. Each is disarmed first, and may arm itself again.
  void RunDue();
  // For epoll_wait: -1 if no timer is armed, else rounded up to a whole millisecond.
  int MillisUntilNext() const;

 private:
  void Place(Timer* timer, size_t index);
  void SiftUp(size_t index);
  void SiftDown(size_t index);

  std::vector<Timer*> heap_;
};

}  // namespace spliceport
