// balance.h: how many sessions of each kind every worker of an engine has, so that they can be
//            spread. The kernel gives most connections to the worker that slept last. That suits
//            short connections and a few others (fewer threads wake), but not bulk, nor many that
//            last: all of them would wait for one thread. docs/architecture.md has the figures.
// Owns:   the counts: of sessions, not of what they do at the moment.
// Thread: any. A count that is slightly old only makes the spread less even.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace spliceport {

// What a session is to its worker. Each kind is spread separately. A session of unknown kind does
// not count.
enum class SessionKind : uint8_t { kUnknown, kMessages, kBulk };

class Balance {
 public:
  // Bulk is spread from the second session on. Two sessions with messages are best apart, more of
  // them together, and beyond kMessagesKeptTogether spread.
  static constexpr int kMessagesApart = 2;
  static constexpr int kMessagesKeptTogether = 16;

  explicit Balance(size_t workers) : counts_(workers) {}

  void Begin(size_t worker, SessionKind kind) {
    if (kind != SessionKind::kUnknown) Of(worker, kind).fetch_add(1, std::memory_order_relaxed);
  }
  void End(size_t worker, SessionKind kind) {
    if (kind != SessionKind::kUnknown) Of(worker, kind).fetch_sub(1, std::memory_order_relaxed);
  }

  int At(size_t worker, SessionKind kind) const {
    return counts_[worker].sessions[IndexOf(kind)].load(std::memory_order_relaxed);
  }
  bool Has(size_t worker, SessionKind kind) const { return At(worker, kind) > 0; }
  // The worker that a session of `worker` should move to: the first with the fewest, if it has at
  // least two fewer; for a session that should not be alone, the first that has others.
  std::optional<size_t> BetterThan(size_t worker, SessionKind kind) const {
    if (kind == SessionKind::kMessages && At(worker, kind) <= kMessagesKeptTogether &&
        InAll(kind) > kMessagesApart)
      return CompanyFor(worker);
    size_t best = worker;
    for (size_t other = 0; other < counts_.size(); ++other) {
      if (At(other, kind) < At(best, kind)) best = other;
    }
    if (At(worker, kind) - At(best, kind) < 2) return std::nullopt;
    return best;
  }

 private:
  struct alignas(64) Counts {
    std::array<std::atomic<int>, 2> sessions{};  // kMessages, kBulk.
  };
  int InAll(SessionKind kind) const {
    int sum = 0;
    for (size_t worker = 0; worker < counts_.size(); ++worker)
      sum += At(worker, kind);
    return sum;
  }
  std::optional<size_t> CompanyFor(size_t worker) const {
    if (At(worker, SessionKind::kMessages) != 1) return std::nullopt;
    for (size_t other = 0; other < counts_.size(); ++other) {
      const int there = At(other, SessionKind::kMessages);
      if (there > 1 && there < kMessagesKeptTogether) return other;
    }
    return std::nullopt;
  }
  static size_t IndexOf(SessionKind kind) { return kind == SessionKind::kBulk ? 1 : 0; }
  std::atomic<int>& Of(size_t worker, SessionKind kind) {
    return counts_[worker].sessions[IndexOf(kind)];
  }

  std::vector<Counts> counts_;
};

}  // namespace spliceport
