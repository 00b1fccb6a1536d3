// descriptor_budget.h: how the descriptors of the process are shared between all of its engines:
//                      new clients stop short of the limit, flows get a part of it, and the rest is
//                      for control.
// Owns:   the limit as it was last read, and the counts of listeners and pipes.
// Thread: any; atomic operations without locks. System calls are made per engine and per forward,
//         and between clients only once in a while when descriptors are used up.
// Kernel: a new descriptor has the lowest free number, so its number shows how many there are
//         already, whoever opened them: Node and the embedding program too.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/result.h"

namespace spliceport {

// One unit of a count, or none. Its destructor gives it back.
class BudgetPlace {
 public:
  BudgetPlace() = default;
  // For a unit that has been counted already.
  explicit BudgetPlace(std::atomic<int64_t>& count) : count_(&count) {}
  ~BudgetPlace() {
    if (count_ != nullptr) count_->fetch_sub(1, std::memory_order_relaxed);
  }
  BudgetPlace(const BudgetPlace&) = delete;
  BudgetPlace& operator=(const BudgetPlace&) = delete;
  BudgetPlace(BudgetPlace&& other) noexcept : count_(std::exchange(other.count_, nullptr)) {}
  BudgetPlace& operator=(BudgetPlace&& other) noexcept {
    std::swap(count_, other.count_);
    return *this;
  }
  bool held() const { return count_ != nullptr; }

 private:
  std::atomic<int64_t>* count_ = nullptr;
};

class DescriptorBudget {
 public:
  // The limit is the process's, so there is one budget.
  static DescriptorBudget& OfProcess();

  // For each engine that starts: reads the limits. Fails if not a single descriptor is available.
  Result<void> Measure();
  // For a host socket. There is always one.
  BudgetPlace TakeListener();

  // Whether another client may be accepted.
  bool MayAccept();
  // Its socket has this number.
  void NoteAccepted(int fd);
  // Whether a descriptor with this number may stay open. It serves a client that is connected
  // already (the container side), or a flow that may replace an older one.
  bool HasRoomFor(int fd) const { return fd < Limit() - Reserve(); }
  // Over all workers.
  int64_t MaxFlows() const;

  // None if there are as many pipes as there may be.
  BudgetPlace TakePipe(size_t capacity_bytes);
  bool HasRoomForPipe(int fd) const { return fd < MaxForClients(); }
  // Whether there are so many pipes that idle ones should be closed.
  bool IsShortOfPipes(size_t capacity_bytes) const;

  // Whether the limit leaves room for a client with so many more listeners, whose sockets are open
  // already. Open sessions and flows do not count: they end.
  bool CanServe(size_t more_listeners) const;

 private:
  int64_t Limit() const { return limit_.load(std::memory_order_relaxed); }
  int64_t Reserve() const { return std::min(kMaxReserve, Limit() / kReserveShare); }
  int64_t MaxForClients() const { return Limit() - 2 * Reserve(); }
  int64_t MaxPipes(size_t capacity_bytes) const;
  void ReadLimit();

  static constexpr int64_t kMaxReserve = 32;
  static constexpr int64_t kReserveShare = 6;

  std::atomic<int64_t> limit_{1'024};
  std::atomic<int64_t> open_at_start_{0};
  std::atomic<int64_t> listeners_{0};
  std::atomic<int64_t> pipes_{0};
  std::atomic<int64_t> max_pipe_bytes_{0};
  // No client is accepted before this time; 0: there are descriptors.
  std::atomic<int64_t> full_until_micros_{0};
};

}  // namespace spliceport
