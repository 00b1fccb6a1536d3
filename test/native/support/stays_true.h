// stays_true.h: for tests of what must not happen, or must come to rest.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <thread>

#include "support/support.h"

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

// Waits until something has moved and nothing moves any more, though `push` tries to move more.
inline bool ComesToRest(
    const std::function<uint64_t()>& moved, const std::function<void()>& push = [] {},
    std::chrono::milliseconds deadline = std::chrono::seconds(10)) {
  constexpr std::chrono::milliseconds kQuiet(100);
  return Eventually(
      [&] {
        push();
        const uint64_t before = moved();
        return before > 0 && StaysTrueFor(kQuiet, [&] { return moved() == before; });
      },
      deadline);
}

}  // namespace spliceport
