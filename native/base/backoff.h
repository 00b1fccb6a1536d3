// backoff.h: how long to leave a level-triggered socket alone when a call on it keeps failing,
//            since it would fail again at once.
// Thread: the worker's.
#pragma once

#include <algorithm>
#include <cstdint>

namespace spliceport {

class Backoff {
 public:
  static constexpr int64_t kShortestPauseMicros = 20'000;
  static constexpr int64_t kLongestPauseMicros = 1'000'000;
  // More failures in a row are not failures of single clients, which are over once they are read.
  static constexpr uint32_t kMaxFailuresInARow = 8;

  // Counts a failure that may be a single client's. True if there have been too many for that.
  bool FailsTooOften() { return ++failures_ > kMaxFailuresInARow; }
  // The next pause: twice as long as the one before, up to the longest.
  int64_t NextPauseMicros() {
    pause_micros_ = std::clamp(pause_micros_ * 2, kShortestPauseMicros, kLongestPauseMicros);
    return pause_micros_;
  }
  // The pause made last.
  int64_t pause_micros() const { return pause_micros_; }
  // A call has succeeded.
  void Reset() { *this = {}; }

 private:
  uint32_t failures_ = 0;
  int64_t pause_micros_ = 0;
};

}  // namespace spliceport
