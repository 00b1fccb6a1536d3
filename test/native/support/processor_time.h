// processor_time.h: what the test's process has spent on all its threads. Unit: microseconds.
#pragma once

#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <thread>

namespace spliceport {

inline int64_t ProcessorMicrosOf(const rusage& usage) {
  const auto micros = [](const timeval& time) {
    return int64_t{time.tv_sec} * 1'000'000 + time.tv_usec;
  };
  return micros(usage.ru_utime) + micros(usage.ru_stime);
}

inline int64_t ProcessorMicros() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return ProcessorMicrosOf(usage);
}

// The processor time of the process while this thread sleeps for a second.
inline int64_t ProcessorMicrosOfOneSecond() {
  const int64_t before = ProcessorMicros();
  std::this_thread::sleep_for(std::chrono::seconds(1));
  return ProcessorMicros() - before;
}

}  // namespace spliceport
