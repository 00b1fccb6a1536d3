// backoff.h: how long a level-triggered socket is left alone when a call on it keeps failing: at once it would fail again.
// Thread: the worker's.
#pragma once

#include <algorithm>
#include <cstdint>

namespace spliceport {

class Backoff {
 public:
  static constexpr int64_t kShortestPauseMicros = 20'000;
  static constexpr int64_t kLongestPauseMicros = 1'000'000;
  // More failures in a row are not those of single clients: each of them is over once it is read.
  static constexpr uint32_t kMostFailuresInARow = 8;

  // Counts a failure that may be a single client's; whether there have been so many that it is not.
  bool FailsTooOften() { return ++failures_ > kMostFailuresInARow; }
  // The pause to make now: each is twice as long as the one before, up to the longest.
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
