// session_log.h: what is told of a session or flow when it has ended, and the queues in which workers leave that.
// Owns:   a ring of fixed size for each worker.
// Thread: Add is for the worker of that index, Take for one other thread, without a lock between them: a reader that is
//         held up holds up nobody.
// Fails:  a ring that is full takes nothing more, and says so.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "net/socket.h"
#include "relay/session_ending.h"

namespace spliceport {

struct EndedSession {
  int forward_id = 0;
  Protocol protocol = Protocol::kTcp;
  SessionEnding ending = SessionEnding::kFin;
  // Of the last attempt to connect; 0 where none failed.
  int error = 0;
  Address client;
  Address target;
  uint64_t bytes_to_container = 0;
  uint64_t bytes_to_host = 0;
  int64_t duration_micros = 0;
  // How much of that it took to connect; negative where there was no connection.
  int64_t connect_micros = -1;
};

class SessionLog {
 public:
  static constexpr size_t kRecordsPerWorker = 4'096;

  // `wake` is called on a worker's thread when there is something to take and nobody has been woken for it.
  SessionLog(size_t workers, std::function<void()> wake);
  // False when there is no room.
  bool Add(size_t worker, const EndedSession& ended);
  // Appends at most `most`, oldest first of each worker. True when there may be more. When it is not, the next Add wakes.
  bool Take(size_t most, std::vector<EndedSession>& taken);

 private:
  struct Ring {
    // Counts of what was ever added and taken, on cache lines of their own.
    alignas(64) std::atomic<uint64_t> added{0};
    alignas(64) std::atomic<uint64_t> taken{0};
    alignas(64) std::vector<EndedSession> records = std::vector<EndedSession>(kRecordsPerWorker);
  };

  static bool TakeFrom(Ring& ring, size_t most, std::vector<EndedSession>& taken);

  const std::function<void()> wake_;
  std::atomic<bool> woken_{false};
  std::vector<std::unique_ptr<Ring>> rings_;
};

// Null: nobody is told of sessions' ends.
using SessionLogPtr = std::shared_ptr<SessionLog>;

}  // namespace spliceport
