// memory_trim.h: returns memory to the system after many sessions or flows have ended. The
//                allocator does not do that by itself, since something in use is always above the
//                free memory. And how a small process keeps it together.
// Owns:   a timer.
// Thread: the worker's.
#pragma once

#include <cstddef>

#include "base/timer.h"

namespace spliceport {

// Before the first thread starts: has all use one part of the allocator's memory. For processes
// that are many and small: with parts of their own, two workers take up 16 KiB and 130 MB of
// address space more.
void ShareOneArena();

// Gives back what the start of a process has taken and will not need again: free pages of the heap,
// and of this thread's stack below the caller.
void ReturnMemoryOfStart();

class MemoryTrim final : private Timer {
 public:
  explicit MemoryTrim(TimerQueue& timers) : timers_(timers) {}
  // A session or flow begins.
  void Begin() {
    if (++live_ > max_live_) max_live_ = live_;
  }
  // One ends. If few of many are left, memory is returned once no more end.
  void End();

 private:
  void OnTimer() override;
  void Arm();

  TimerQueue& timers_;
  size_t live_ = 0;
  size_t max_live_ = 0;     // Since memory was last returned.
  size_t live_before_ = 0;  // When the timer was armed.
};

}  // namespace spliceport
