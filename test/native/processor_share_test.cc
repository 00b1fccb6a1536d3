#include "base/processor_share.h"

#include <sched.h>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
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
  const ProcessorShare begun = share;
  for (int64_t now = NowMicros(), end = now + 200'000; now < end; now = NowMicros()) {
    share.YieldSlice(now);
    // Beside another program, which may well run here too, it would stop yielding.
    if (NowMicros() - now > 1'000) share = begun;
  }
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return ProcessorMicrosOf(usage) / (1 + usage.ru_nivcsw + usage.ru_nvcsw);
}

int64_t ProcessorMicrosOfThread() {
  rusage usage{};
  getrusage(RUSAGE_THREAD, &usage);
  return ProcessorMicrosOf(usage);
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

// With a yield after each slice it has a third.
TEST_CASE("a busy worker has as much of a processor as a busy program beside it") {
  const size_t processor = AnyProcessor();
  std::atomic<bool> over = false;
  int64_t of_worker = 0;
  int64_t of_program = 0;
  std::thread program([&] {
    StayOn(processor);
    while (!over) {
    }
    of_program = ProcessorMicrosOfThread();
  });
  std::thread worker([&] {
    StayOn(processor);
    ProcessorShare share;
    share.Begin();
    for (int64_t now = NowMicros(), end = now + 1'000'000; now < end; now = NowMicros())
      share.YieldSlice(now);
    of_worker = ProcessorMicrosOfThread();
    over = true;
  });
  worker.join();
  program.join();
  CHECK(of_worker * 100 > of_program * 75);
}

}  // namespace spliceport
