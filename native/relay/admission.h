// admission.h: which clients may begin a session or flow of a forward: by address, by the number of
//              open sessions, and by the rate of new ones.
// Owns:   the count and the rate of one forward, which all workers that serve it share.
// Thread: any; TryEnter and Leave are atomic operations without locks.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "net/cidr.h"
#include "relay/counters.h"
#include "relay/session_ending.h"

namespace spliceport {

struct AdmissionRules {
  // If it has blocks: only these.
  CidrList allow;
  // Takes precedence over `allow`.
  CidrList deny;
  int64_t max_sessions = 0;             // 0: any number.
  int64_t max_sessions_per_second = 0;  // 0: any number.

  bool limits_nothing() const {
    return allow.empty() && deny.empty() && max_sessions == 0 && max_sessions_per_second == 0;
  }
};
// Forwards of one range share them.
using AdmissionRulesPtr = std::shared_ptr<const AdmissionRules>;

class Admission {
 public:
  explicit Admission(AdmissionRulesPtr rules) : rules_(std::move(rules)) {}

  bool IsAllowed(const Address& client) const {
    return !rules_->deny.Contains(client) &&
           (rules_->allow.empty() || rules_->allow.Contains(client));
  }
  // Takes a place, which Leave gives back. If the client is over a limit, takes none, adds
  // `rejected` to the counter of that limit, and returns it. The rate is a token bucket that holds
  // one second's worth. `now_micros` is on any clock that does not run backwards.
  std::optional<SessionEnding> TryEnter(int64_t now_micros, ForwardCounters& counters,
                                        uint64_t rejected = 1);
  void Leave() { sessions_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  bool TakePlace();
  bool TakeToken(int64_t now_nanos);

  const AdmissionRulesPtr rules_;
  std::atomic<int64_t> sessions_{0};
  // When the bucket will be full; it is empty if that is one second ahead.
  std::atomic<int64_t> full_at_nanos_{0};
};
// Null if a forward has no limits, so that it pays for none.
using AdmissionPtr = std::shared_ptr<Admission>;

}  // namespace spliceport
