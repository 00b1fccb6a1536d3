// processor_share.h: how a worker shares its CPU with its peers, other workers and all other
//                    programs.
// Owns:   the times when its thread last slept, and when it may yield again.
// Thread: the worker's.
// Fails:  never. If the kernel or a sandbox refuses, only the gain is lost.
#pragma once

#include <cstdint>

namespace spliceport {

class ProcessorShare {
 public:
  // Once, on the worker's thread, before anything else.
  void Begin();
  // The thread has just slept, until `now` (NowMicros), long enough for others to run.
  void Slept(int64_t now) { awake_since_micros_ = now; }
  // Between two batches: lets threads that wait for this CPU run, if they have waited for long.
  void YieldSlice(int64_t now);

 private:
  void PauseYields();

  int64_t awake_since_micros_ = 0;
  int64_t yields_from_micros_ = 0;
  int64_t pause_micros_ = 0;
  bool slices_are_short_ = false;
};

}  // namespace spliceport
