// session_load.h: what a session is to its worker (short, messages, bulk), and when it should move
//                 to another one.
// Owns:   its count in Balance, which End gives back.
// Thread: the worker that has the session.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "relay/balance.h"

namespace spliceport {

// Invariant: while kind_ is known, the session is counted once in Balance, for worker_.
class SessionLoad {
 public:
  explicit SessionLoad(size_t worker) : worker_(worker) {}

  // After the pumps have run. `was_bulk`: it has been in bulk before. True if the session should
  // ask for a turn, in which TakeMove says where to move.
  bool Update(Balance& balance, bool is_bulk, bool was_bulk);
  // In that turn: the worker to move to, if that is still better. Forgets the request.
  std::optional<size_t> TakeMove(const Balance& balance);
  // From now on the session counts for `worker`. Called by the worker that it leaves; and by the
  // one that has it, in case it came back because the part of its forward that it was sent to is
  // gone.
  void CountFor(Balance& balance, size_t worker);
  // The session has ended.
  void End(Balance& balance);

 private:
  size_t worker_;
  SessionKind kind_ = SessionKind::kUnknown;
  uint8_t advances_ = 0;  // Calls of Update since the session last asked whether it should move.
  bool wants_move_ = false;
};

}  // namespace spliceport
