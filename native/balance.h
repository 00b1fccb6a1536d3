// balance.h: how many sessions in bulk each worker of an engine has, so that they can be spread. The kernel gives most
//            connections to the worker that slept last, which suits small messages (fewer threads wake) and not bulk:
//            eight streams on one of two workers have half the rate of four on each.
// Owns:   the counts. Thread: any; a count that is a moment old only makes the spread less even.
#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <vector>

namespace spliceport {

class Balance {
 public:
  explicit Balance(size_t workers) : counts_(workers) {}

  void Begin(size_t worker) { counts_[worker].in_bulk.fetch_add(1, std::memory_order_relaxed); }
  void End(size_t worker) { counts_[worker].in_bulk.fetch_sub(1, std::memory_order_relaxed); }

  bool HasBulk(size_t worker) const { return At(worker) > 0; }
  // The worker that should have one of `worker`'s: the first with the fewest, if it has at least two fewer.
  std::optional<size_t> BetterThan(size_t worker) const {
    size_t best = worker;
    for (size_t other = 0; other < counts_.size(); ++other) {
      if (At(other) < At(best)) best = other;
    }
    if (At(worker) - At(best) < 2) return std::nullopt;
    return best;
  }

 private:
  struct alignas(64) Count {
    std::atomic<int> in_bulk{0};
  };
  int At(size_t worker) const { return counts_[worker].in_bulk.load(std::memory_order_relaxed); }

  std::vector<Count> counts_;
};

}  // namespace spliceport
