// balance.h: how many sessions of each kind every worker of an engine has, so that they can be spread. The kernel gives
//            most connections to the worker that slept last, which suits short ones and few (fewer threads wake), and not
//            bulk nor many that last: one thread for all is then what they wait for. docs/architecture.md has the figures.
// Owns:   the counts; of sessions, not of what they do just now. Thread: any; a count that is a moment old only makes the
//         spread less even.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace spliceport {

// What a session is to its worker. Each kind is spread for itself; one that is not known yet is not counted.
enum class Load : uint8_t { kUnknown, kMessages, kBulk };

class Balance {
 public:
  // Bulk is spread from the second session on. Two sessions with messages are best apart, more of them together, and
  // beyond this many spread.
  static constexpr int kMessagesApart = 2;
  static constexpr int kMessagesKeptTogether = 16;

  explicit Balance(size_t workers) : counts_(workers) {}

  void Begin(size_t worker, Load load) {
    if (load != Load::kUnknown) Of(worker, load).fetch_add(1, std::memory_order_relaxed);
  }
  void End(size_t worker, Load load) {
    if (load != Load::kUnknown) Of(worker, load).fetch_sub(1, std::memory_order_relaxed);
  }

  int At(size_t worker, Load load) const {
    return counts_[worker].sessions[IndexOf(load)].load(std::memory_order_relaxed);
  }
  bool Has(size_t worker, Load load) const { return At(worker, load) > 0; }
  // The worker that should have one of `worker`'s: the first with the fewest, if it has at least two fewer; for one that
  // should not be alone, the first with company.
  std::optional<size_t> BetterThan(size_t worker, Load load) const {
    if (load == Load::kMessages && At(worker, load) <= kMessagesKeptTogether &&
        InAll(load) > kMessagesApart)
      return CompanyFor(worker);
    size_t best = worker;
    for (size_t other = 0; other < counts_.size(); ++other) {
      if (At(other, load) < At(best, load)) best = other;
    }
    if (At(worker, load) - At(best, load) < 2) return std::nullopt;
    return best;
  }

 private:
  struct alignas(64) Counts {
    std::array<std::atomic<int>, 2> sessions{};  // kMessages, kBulk.
  };
  int InAll(Load load) const {
    int sum = 0;
    for (size_t worker = 0; worker < counts_.size(); ++worker)
      sum += At(worker, load);
    return sum;
  }
  std::optional<size_t> CompanyFor(size_t worker) const {
    if (At(worker, Load::kMessages) != 1) return std::nullopt;
    for (size_t other = 0; other < counts_.size(); ++other) {
      const int there = At(other, Load::kMessages);
      if (there > 1 && there < kMessagesKeptTogether) return other;
    }
    return std::nullopt;
  }
  static size_t IndexOf(Load load) { return load == Load::kBulk ? 1 : 0; }
  std::atomic<int>& Of(size_t worker, Load load) { return counts_[worker].sessions[IndexOf(load)]; }

  std::vector<Counts> counts_;
};

}  // namespace spliceport
