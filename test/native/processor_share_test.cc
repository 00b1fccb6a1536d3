#include "base/processor_share.h"

#include <sched.h>

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <thread>

#include "base/timer.h"
#include "support/processor_time.h"

namespace spliceport {

namespace {

void StayOn(size_t processor) {
  cpu_set_t processors;
  CPU_ZERO(&processors);
  CPU_SET(processor, &processors);
  REQUIRE(sched_setaffinity(0, sizeof(processors), &processors) == 0);
}

size_t AnyProcessor() {
  cpu_set_t processors;
  REQUIRE(sched_getaffinity(0, sizeof(processors), &processors) == 0);
  size_t first = 0;
  while (!CPU_ISSET(first, &processors))
    ++first;
  return first;
}

// A worker that has work for 200 ms; how long it had the processor at a time.
int64_t MicrosOfATurn() {
  ProcessorShare share;
  share.Begin();
  for (int64_t now = NowMicros(), end = now + 200'000; now < end; now = NowMicros())
    share.YieldSlice(now);
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return ProcessorMicrosOf(usage) / (1 + usage.ru_nivcsw + usage.ru_nvcsw);
}

}  // namespace

TEST_CASE("a worker is a batch thread") {
  int policy = -1;
  std::thread([&] {
    ProcessorShare().Begin();
    policy = sched_getscheduler(0);
  }).join();
  CHECK(policy == SCHED_BATCH);
}

TEST_CASE("a worker keeps the policy that somebody chose for the process") {
  int policy = -1;
  std::thread([&] {
    const sched_param none{};
    sched_setscheduler(0, SCHED_IDLE, &none);
    ProcessorShare().Begin();
    policy = sched_getscheduler(0);
  }).join();
  CHECK(policy == SCHED_IDLE);
}

// By the tick alone a turn lasts 1 ms at the least.
TEST_CASE("two busy workers on one processor take short turns") {
  const size_t processor = AnyProcessor();
  std::array<int64_t, 2> micros{};
  std::array<std::thread, 2> workers;
  for (size_t i = 0; i < workers.size(); ++i) {
    workers[i] = std::thread([&micros, processor, i] {
      StayOn(processor);
      micros[i] = MicrosOfATurn();
    });
  }
  for (std::thread& worker : workers)
    worker.join();
  CHECK(micros[0] < 500);
  CHECK(micros[1] < 500);
}

}  // namespace spliceport
