// first_failure.h: reports the first client of a forward that was not connected to its server,
//                  and then none until one is connected again.
// Thread: any. All workers of the forward share it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <utility>

#include "relay/session_ending.h"

namespace spliceport {

struct ConnectFailure {
  // Failed, or timed out.
  SessionEnding ending = SessionEnding::kConnectFailed;
  // Of the last attempt; a positive errno, or 0 if none had failed when time was up.
  int error = 0;
};

class FirstFailure {
 public:
  explicit FirstFailure(std::function<void(const ConnectFailure&)> report)
      : report_(std::move(report)) {}

  void OnFailed(const ConnectFailure& failure) {
    if (!is_failing_.exchange(true, std::memory_order_relaxed)) report_(failure);
  }
  // Also for a new target, which has not failed yet. Usually it only reads, so workers keep the
  // cache line.
  void OnConnected() {
    if (is_failing_.load(std::memory_order_relaxed))
      is_failing_.store(false, std::memory_order_relaxed);
  }

 private:
  const std::function<void(const ConnectFailure&)> report_;
  std::atomic<bool> is_failing_{false};
};

// Null: nothing is reported.
using FirstFailurePtr = std::shared_ptr<FirstFailure>;

}  // namespace spliceport
