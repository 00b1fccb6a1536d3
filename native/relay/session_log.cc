#include "relay/session_log.h"

#include <algorithm>
#include <utility>

namespace spliceport {

SessionLog::SessionLog(size_t workers, std::function<void()> wake) : wake_(std::move(wake)) {
  while (rings_.size() < workers)
    rings_.push_back(std::make_unique<Ring>());
}

bool SessionLog::Add(size_t worker, const EndedSession& ended) {
  Ring& ring = *rings_[worker];
  const uint64_t added = ring.added.load(std::memory_order_relaxed);
  if (added - ring.taken.load(std::memory_order_acquire) == kRecordsPerWorker) return false;
  ring.records[added % kRecordsPerWorker] = ended;
  // Sequentially consistent with woken_: either Take sees the record, or this sees that
  // nobody has been woken.
  ring.added.store(added + 1, std::memory_order_seq_cst);
  if (!woken_.load(std::memory_order_seq_cst) && !woken_.exchange(true)) wake_();
  return true;
}

bool SessionLog::Take(size_t max, std::vector<EndedSession>& taken) {
  woken_.store(false, std::memory_order_seq_cst);
  const size_t end = taken.size() + max;
  bool is_more = false;
  for (const auto& ring : rings_)
    is_more = TakeFrom(*ring, end - taken.size(), taken) || is_more;
  // A reader that continues needs no wake-up.
  if (is_more) woken_.store(true, std::memory_order_relaxed);
  return is_more;
}

bool SessionLog::TakeFrom(Ring& ring, size_t max, std::vector<EndedSession>& taken) {
  const uint64_t begin = ring.taken.load(std::memory_order_relaxed);
  const uint64_t added = ring.added.load(std::memory_order_seq_cst);
  const uint64_t end = std::min(added, begin + max);
  for (uint64_t i = begin; i < end; ++i)
    taken.push_back(ring.records[i % kRecordsPerWorker]);
  ring.taken.store(end, std::memory_order_release);
  return end < added;
}

}  // namespace spliceport
