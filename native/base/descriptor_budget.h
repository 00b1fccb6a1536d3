// descriptor_budget.h: how the descriptors of the process are shared out, over all of its engines: new clients stop short
//                      of the limit, flows have a part of it and no more, and the rest is for control.
// Owns:   the limit as it was read last, and the counts of listeners and pipes.
// Thread: any; atomic operations without locks. A system call is made per engine and per forward, and between clients only
//         while descriptors are used up, once in a while.
// Kernel: a new descriptor has the lowest free number, so its number tells how many there are already, whoever opened
//         them: Node and the embedding program too.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "base/result.h"

namespace spliceport {

// One of what is counted, or none; given back at its end.
class BudgetPlace {
 public:
  BudgetPlace() = default;
  // That has been counted already.
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
  // There is one limit for a process, so there is one budget.
  static DescriptorBudget& OfProcess();

  // For each engine that starts: reads the limits. Fails where not one descriptor is to be had.
  Result<void> Measure();
  // Of a host socket; there is always one.
  BudgetPlace TakeListener();

  // Whether another client may be taken.
  bool MayAccept();
  // That its socket has this number.
  void NoteAccepted(int fd);
  // Whether a descriptor with this number may stay, which serves a client who is here already: the container's side, or
  // a flow that can take the place of an older one.
  bool HasRoomFor(int fd) const { return fd < Limit() - Reserve(); }
  // Of all workers together.
  int64_t MostFlows() const;

  // None when there are as many pipes as there may be.
  BudgetPlace TakePipe(size_t capacity_bytes);
  bool HasRoomForPipe(int fd) const { return fd < MostForClients(); }
  // Whether there are so many pipes that none should be kept for later.
  bool IsShortOfPipes(size_t capacity_bytes) const;

  // Whether the limit lets a client in with so many more listeners, whose sockets are open already. Sessions and flows
  // that there are do not count: they end.
  bool CanServe(size_t more_listeners) const;

 private:
  int64_t Limit() const { return limit_.load(std::memory_order_relaxed); }
  int64_t Reserve() const { return std::min(kMostReserve, Limit() / kReserveShare); }
  int64_t MostForClients() const { return Limit() - 2 * Reserve(); }
  int64_t MostPipes(size_t capacity_bytes) const;
  void ReadLimit();

  static constexpr int64_t kMostReserve = 32;
  static constexpr int64_t kReserveShare = 6;

  std::atomic<int64_t> limit_{1'024};
  std::atomic<int64_t> open_at_start_{0};
  std::atomic<int64_t> listeners_{0};
  std::atomic<int64_t> pipes_{0};
  std::atomic<int64_t> most_pipe_bytes_{0};
  // No client is taken before; 0: descriptors are there.
  std::atomic<int64_t> full_until_micros_{0};
};

}  // namespace spliceport
