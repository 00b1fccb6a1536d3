// stays_true.h: for tests of what must not happen.
#pragma once

#include <chrono>
#include <functional>
#include <thread>

namespace spliceport {

// Whether `condition` holds each time that it is asked for so long. Seldom, so that asking takes
// next to no CPU time.
inline bool StaysTrueFor(std::chrono::milliseconds time, const std::function<bool()>& condition) {
  constexpr std::chrono::milliseconds kPause(10);
  const auto end = std::chrono::steady_clock::now() + time;
  for (;;) {
    const bool is_last = std::chrono::steady_clock::now() >= end;
    if (!condition()) return false;
    if (is_last) return true;
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace spliceport
