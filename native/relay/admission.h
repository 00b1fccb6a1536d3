// admission.h: which clients may begin a session or flow of a forward: by address, by the number of
//              open sessions, of all clients and of each, and by the rate of new ones.
// Owns:   the counts and the rate of one forward, which all workers that serve it share.
// Thread: any; TryEnter and Leave are atomic operations, and take a lock only if each client has a
//         limit.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "net/cidr.h"
#include "relay/client_places.h"
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
  int64_t max_sessions_per_client = 0;  // 0: any number.

  bool limits_nothing() const {
    return allow.empty() && deny.empty() && max_sessions == 0 && max_sessions_per_second == 0 &&
           max_sessions_per_client == 0;
  }
};
// Forwards of one range share them.
using AdmissionRulesPtr = std::shared_ptr<const AdmissionRules>;

class Admission {
 public:
  explicit Admission(AdmissionRulesPtr rules);

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

  // The same for the place among those of one client, which LeaveAs gives back.
  std::optional<SessionEnding> TryEnterAs(const Address& client, ForwardCounters& counters,
                                          uint64_t rejected = 1);
  void LeaveAs(const Address& client);

 private:
  bool TakePlace();
  bool TakeToken(int64_t now_nanos);

  const AdmissionRulesPtr rules_;
  std::atomic<int64_t> sessions_{0};
  // When the bucket will be full; it is empty if that is one second ahead.
  std::atomic<int64_t> full_at_nanos_{0};
  // Null if clients have no limit of their own.
  const std::unique_ptr<ClientPlaces> clients_;
};
// Null if a forward has no limits, so that it pays for none.
using AdmissionPtr = std::shared_ptr<Admission>;

}  // namespace spliceport
