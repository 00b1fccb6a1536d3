// processor_share.h: how a worker shares its processor with its peers, its fellow workers and everybody else.
// Owns:   when its thread last had a rest. Thread: the worker's.
// Fails:  never: a kernel or sandbox that refuses costs the gain alone.
#pragma once

#include <cstdint>

namespace spliceport {

class ProcessorShare {
 public:
  // Once, on the worker's thread, before anything else.
  void Begin();
  // The thread has just slept, until `now` (NowMicros), long enough for others to have had their turn.
  void Slept(int64_t now) { awake_since_micros_ = now; }
  // Between two batches: lets those that wait for this processor run, if they had to wait for long.
  void GiveWay(int64_t now);

 private:
  int64_t awake_since_micros_ = 0;
  bool slices_are_short_ = false;
};

}  // namespace spliceport
