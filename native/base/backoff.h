// backoff.h: how long a level-triggered socket is left alone when a call on it keeps failing: at once it would fail again.
// Thread: the worker's.
#pragma once

#include <algorithm>
#include <cstdint>

namespace spliceport {

class Backoff {
 public:
  static constexpr int64_t kShortestRestMicros = 20'000;
  static constexpr int64_t kLongestRestMicros = 1'000'000;
  // More failures in a row are not those of single clients: each of them is over once it is read.
  static constexpr uint32_t kMostFailuresInARow = 8;

  // Counts a failure that may be a single client's; whether there have been so many that it is not.
  bool FailsTooOften() { return ++failures_ > kMostFailuresInARow; }
  // The rest to take now: each is twice as long as the one before, up to the longest.
  int64_t NextRestMicros() {
    rest_micros_ = std::clamp(rest_micros_ * 2, kShortestRestMicros, kLongestRestMicros);
    return rest_micros_;
  }
  // The rest that was taken last.
  int64_t rest_micros() const { return rest_micros_; }
  // A call has succeeded.
  void Reset() { *this = {}; }

 private:
  uint32_t failures_ = 0;
  int64_t rest_micros_ = 0;
};

}  // namespace spliceport
