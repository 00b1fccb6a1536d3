#include "relay/admission.h"

#include <algorithm>

namespace spliceport {

namespace {

constexpr int64_t kNanosPerMicro = 1'000;
constexpr int64_t kNanosPerSecond = 1'000'000'000;

}  // namespace

Admission::Admission(AdmissionRulesPtr rules)
    : rules_(std::move(rules)),
      clients_(rules_->max_sessions_per_client > 0 ? std::make_unique<ClientPlaces>() : nullptr) {}

std::optional<SessionEnding> Admission::TryEnter(int64_t now_micros, ForwardCounters& counters,
                                                 uint64_t rejected) {
  if (!TakePlace()) {
    counters.sessions_over_limit.Add(rejected);
    return SessionEnding::kOverLimit;
  }
  if (TakeToken(now_micros * kNanosPerMicro)) return {};
  Leave();
  counters.sessions_over_rate.Add(rejected);
  return SessionEnding::kOverRate;
}

std::optional<SessionEnding> Admission::TryEnterAs(const Address& client, ForwardCounters& counters,
                                                   uint64_t rejected) {
  if (!clients_ || clients_->Take(client, rules_->max_sessions_per_client)) return {};
  counters.sessions_over_client_limit.Add(rejected);
  return SessionEnding::kOverClientLimit;
}

void Admission::LeaveAs(const Address& client) {
  if (clients_) clients_->GiveBack(client);
}

// Counts up only if there is room, so that no worker ever sees more than there may be.
bool Admission::TakePlace() {
  const int64_t max = rules_->max_sessions;
  int64_t sessions = sessions_.load(std::memory_order_relaxed);
  do {
    if (max > 0 && sessions >= max) return false;
  } while (!sessions_.compare_exchange_weak(sessions, sessions + 1, std::memory_order_relaxed));
  return true;
}

bool Admission::TakeToken(int64_t now_nanos) {
  if (rules_->max_sessions_per_second == 0) return true;
  const int64_t token_nanos = kNanosPerSecond / rules_->max_sessions_per_second;
  int64_t full_at = full_at_nanos_.load(std::memory_order_relaxed);
  int64_t next = 0;
  do {
    next = std::max(full_at, now_nanos) + token_nanos;
    if (next > now_nanos + kNanosPerSecond) return false;
  } while (!full_at_nanos_.compare_exchange_weak(full_at, next, std::memory_order_relaxed));
  return true;
}

}  // namespace spliceport
