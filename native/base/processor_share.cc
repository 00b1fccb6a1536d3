// Three scheduler features that need no privilege (sched(7), sched_setattr(2))
//
//   SCHED_BATCH    A worker that wakes does not preempt the running thread. Peers that keep running
//                  write more before it reads, so that each wake moves more.
//   short slices   From Linux 6.12 on, sched_runtime is the length of a slice; earlier kernels
//                  ignore it. A thread that has run for that long yields to one that has not. Its
//                  share of the CPU over time stays the same.
//   sched_yield    The kernel compares slices at the tick, every 4 ms at 250 Hz. Two workers that
//                  always have work and got the same CPU, while client and server share the other,
//                  would take turns of 4 ms, and half of the sessions would wait as long. So a
//                  worker that has not slept for a slice asks for the comparison itself. With the
//                  usual slices of 3 ms it would give up the rest of one each time; hence short
//                  slices.
//
// Beside a program that is always busy, sched_yield does harm. That program keeps the CPU until a
// tick, and from Linux 6.18 on a thread that yields gives up the time it was owed. The worker's
// share of the CPU falls from a half to a third. A worker whose yield lasted for so long that none
// of its peers can have had the CPU stops yielding, each time for twice as long.
//
// docs/architecture.md has the figures.

#include "base/processor_share.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

#include "base/timer.h"

namespace spliceport {

namespace {

constexpr int64_t kSliceMicros = 200;
// Another worker gives the CPU back after a slice, and client and server sleep when they have dealt
// with what was sent to them.
constexpr int64_t kLongestPeerTurnMicros = 1'500;
constexpr int64_t kFirstPauseMicros = 20'000;
constexpr int64_t kMaxPauseMicros = 1'000'000;

// sched_setattr(2) has no wrapper before glibc 2.41, and the kernel's header conflicts with
// <sched.h>.
struct SchedulingAttributes {
  uint32_t size = sizeof(SchedulingAttributes);
  uint32_t policy = SCHED_BATCH;
  uint64_t flags = 0;
  int32_t nice = 0;
  uint32_t priority = 0;
  uint64_t runtime_nanos = kSliceMicros * 1'000;
  uint64_t deadline_nanos = 0;
  uint64_t period_nanos = 0;
};
static_assert(sizeof(SchedulingAttributes) == 48, "SCHED_ATTR_SIZE_VER0");

}  // namespace

void ProcessorShare::Begin() {
  // The user has chosen another policy (chrt(1)). Keep it.
  if (sched_getscheduler(0) != SCHED_OTHER) return;
  SchedulingAttributes attributes;
  attributes.nice = getpriority(PRIO_PROCESS, 0);
  slices_are_short_ = syscall(SYS_sched_setattr, 0, &attributes, 0) == 0;
}

void ProcessorShare::YieldSlice(int64_t now) {
  if (!slices_are_short_ || now - awake_since_micros_ < kSliceMicros) return;
  if (now < yields_from_micros_) return;
  sched_yield();
  awake_since_micros_ = NowMicros();
  if (awake_since_micros_ - now > kLongestPeerTurnMicros) PauseYields();
}

void ProcessorShare::PauseYields() {
  // If yields did no harm for as long as they were paused, the busy program was gone.
  const bool is_still_there = awake_since_micros_ - yields_from_micros_ < pause_micros_;
  pause_micros_ = is_still_there ? std::min(2 * pause_micros_, kMaxPauseMicros) : kFirstPauseMicros;
  yields_from_micros_ = awake_since_micros_ + pause_micros_;
}

}  // namespace spliceport
