// A session that turns to bulk, or has lasted for kAdvancesPerCheck events, moves to a worker that
// suits it better, as it is, with what its pumps hold (balance.h explains why). One with messages
// asks again after as many events, since the best worker depends on how many others there are.
//
// A short connection stays where it was accepted: a move costs ten system calls, as many as five
// messages. A session that falls back from bulk stays too, so that it does not move to and fro.
//
// A session moves in a turn of its own, because only then no event or turn of the current batch
// points to it.

#include "tcp/session_load.h"

#include <utility>

namespace spliceport {

namespace {

// Measured, with its neighbors, in docs/architecture.md.
constexpr uint8_t kAdvancesPerCheck = 64;

}  // namespace

bool SessionLoad::Update(Balance& balance, bool is_bulk, bool was_bulk) {
  const bool is_time = ++advances_ == kAdvancesPerCheck;
  if (is_time) advances_ = 0;
  SessionKind now = SessionKind::kUnknown;
  if (is_bulk)
    now = SessionKind::kBulk;
  else if (is_time || kind_ != SessionKind::kUnknown)
    now = SessionKind::kMessages;
  const SessionKind before = std::exchange(kind_, now);
  if (kind_ == before && (!is_time || was_bulk)) return false;
  if (kind_ != before) {
    balance.End(worker_, before);
    balance.Begin(worker_, kind_);
  }
  wants_move_ = before != SessionKind::kBulk && balance.BetterThan(worker_, kind_).has_value();
  return wants_move_;
}

std::optional<size_t> SessionLoad::TakeMove(const Balance& balance) {
  if (!std::exchange(wants_move_, false)) return std::nullopt;
  return balance.BetterThan(worker_, kind_);
}

void SessionLoad::CountFor(Balance& balance, size_t worker) {
  if (worker_ == worker) return;
  balance.End(std::exchange(worker_, worker), kind_);
  balance.Begin(worker, kind_);
}

void SessionLoad::End(Balance& balance) {
  balance.End(worker_, std::exchange(kind_, SessionKind::kUnknown));
}

}  // namespace spliceport
