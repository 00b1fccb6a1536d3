// Three things about the scheduler, all open to a thread without privilege (sched(7), sched_setattr(2))
//
//   SCHED_BATCH    Woken, a worker does not interrupt what runs. Peers that run on write more before they are read, so that
//                  each wake moves more.
//   short slices   Linux from 6.12 on takes sched_runtime for the length of a slice; others ignore it. Who has run for
//                  that long makes way for who has not, which takes nothing from its share over time.
//   sched_yield    Slices are compared at the tick, every 4 ms at 250 Hz. Two workers that always have work and got the
//                  same processor, while client and server share the other, would take turns of 4 ms, and half of the
//                  sessions wait as long. So a worker that has not slept for a slice asks for the comparison itself. With
//                  slices of the usual 3 ms it would give up what is left of one each time, hence the second thing.
//
// docs/architecture.md has the figures.

#include "base/processor_share.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/timer.h"

namespace spliceport {

namespace {

constexpr int64_t kSliceMicros = 200;

// sched_setattr(2) has no wrapper before glibc 2.41, and the kernel's header does not go with <sched.h>.
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
  // Somebody has chosen another policy (chrt(1)), which is theirs to choose.
  if (sched_getscheduler(0) != SCHED_OTHER) return;
  SchedulingAttributes attributes;
  attributes.nice = getpriority(PRIO_PROCESS, 0);
  slices_are_short_ = syscall(SYS_sched_setattr, 0, &attributes, 0) == 0;
}

void ProcessorShare::GiveWay(int64_t now) {
  if (!slices_are_short_ || now - awake_since_micros_ < kSliceMicros) return;
  sched_yield();
  awake_since_micros_ = NowMicros();
}

}  // namespace spliceport
