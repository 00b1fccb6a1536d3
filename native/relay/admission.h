// admission.h: which clients may begin a session or flow of a forward: by their address, by how many there are, and by
//              how fast they come.
// Owns:   the count and the rate of one forward, which all workers that serve it share.
// Thread: any; Enter and Leave are atomic operations without locks.
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
  // With blocks in it: nobody else.
  CidrList allow;
  // Also of what `allow` holds.
  CidrList deny;
  int64_t most_sessions = 0;    // 0: any number.
  int64_t most_per_second = 0;  // 0: any number.

  bool limits_nothing() const {
    return allow.empty() && deny.empty() && most_sessions == 0 && most_per_second == 0;
  }
};
// Forwards of one range share them.
using AdmissionRulesPtr = std::shared_ptr<const AdmissionRules>;

class Admission {
 public:
  explicit Admission(AdmissionRulesPtr rules) : rules_(std::move(rules)) {}

  bool Permits(const Address& client) const {
    return !rules_->deny.Contains(client) &&
           (rules_->allow.empty() || rules_->allow.Contains(client));
  }
  // Takes a place, which Leave gives back; or counts `refused` by the reason that it gives, and takes none. The rate is a bucket that
  // holds one second's worth. `now_micros` is on any clock that does not run backwards.
  std::optional<SessionEnding> Enter(int64_t now_micros, ForwardCounters& counters,
                                     uint64_t refused = 1);
  void Leave() { sessions_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  bool TakePlace();
  bool TakeToken(int64_t now_nanos);

  const AdmissionRulesPtr rules_;
  std::atomic<int64_t> sessions_{0};
  // The time at which the bucket will be full: it is empty when that is one second ahead.
  std::atomic<int64_t> full_at_nanos_{0};
};
// Null where a forward has no limits, so that it pays for none.
using AdmissionPtr = std::shared_ptr<Admission>;

}  // namespace spliceport
