#include "base/memory_trim.h"

#include <malloc.h>

namespace spliceport {

namespace {

// Fewer are not worth it: a session takes about 400 bytes.
constexpr size_t kMany = 256;
constexpr size_t kFewOfMany = 4;
constexpr int64_t kDelayMicros = 100'000;

}  // namespace

void ShareOneArena() {
#ifdef __GLIBC__
  // NOLINTNEXTLINE(concurrency-mt-unsafe): there is no other thread yet.
  (void)mallopt(M_ARENA_MAX, 1);
#endif
}

void MemoryTrim::End() {
  --live_;
  if (max_live_ < kMany || live_ > max_live_ / kFewOfMany || armed()) return;
  Arm();
}

void MemoryTrim::Arm() {
  live_before_ = live_;
  timers_.Arm(*this, NowMicros() + kDelayMicros);
}

void MemoryTrim::OnTimer() {
  if (live_ < live_before_) return Arm();
  max_live_ = live_;
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace spliceport
