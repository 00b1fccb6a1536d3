// memory_trim.h: gives memory back to the system after many sessions or flows have ended. The allocator by itself keeps
//                it, since something is always left above it.
// Owns:   a timer. Thread: the worker's.
#pragma once

#include <cstddef>

#include "base/timer.h"

namespace spliceport {

class MemoryTrim final : private Timer {
 public:
  explicit MemoryTrim(TimerQueue& timers) : timers_(timers) {}
  // A session or flow begins.
  void Begin() {
    if (++live_ > most_live_) most_live_ = live_;
  }
  // One ends. When few are left of many, memory is given back once no more end.
  void End();

 private:
  void OnTimer() override;
  void Arm();

  TimerQueue& timers_;
  size_t live_ = 0;
  size_t most_live_ = 0;    // Since memory was given back last.
  size_t live_before_ = 0;  // When the timer was armed.
};

}  // namespace spliceport
