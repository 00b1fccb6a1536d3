#include "base/memory_trim.h"

#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

namespace spliceport {

namespace {

// Fewer are not worth it: a session takes about 400 bytes.
constexpr size_t kMany = 256;
constexpr size_t kFewOfMany = 4;
constexpr int64_t kDelayMicros = 100'000;
// No start goes deeper.
constexpr uintptr_t kStackBytes = uintptr_t{64} * 1'024;

}  // namespace

void ShareOneArena() {
#ifdef __GLIBC__
  // NOLINTNEXTLINE(concurrency-mt-unsafe): there is no other thread yet.
  (void)mallopt(M_ARENA_MAX, 1);
#endif
}

void ReturnMemoryOfStart() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  // The page below is for the call itself. What is below the stack is nobody's.
  const uintptr_t end = (here & ~(page - 1)) - page;
  // NOLINTNEXTLINE(performance-no-int-to-ptr): an address within the stack
  madvise(reinterpret_cast<void*>(end - kStackBytes), kStackBytes, MADV_DONTNEED);
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
