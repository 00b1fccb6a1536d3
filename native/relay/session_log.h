// session_log.h: what is reported about a session or flow when it has ended, and the queues in
//                which workers leave that.
// Owns:   a ring of fixed size for each worker.
// Thread: Add is for the worker of that index, Take for one other thread. There is no lock between
//         them, so a slow reader delays nobody.
// Fails:  Add returns false if the ring is full.
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
  // Of the last attempt to connect; 0 if none failed.
  int error = 0;
  Address client;
  Address target;
  uint64_t bytes_to_container = 0;
  uint64_t bytes_to_host = 0;
  int64_t duration_micros = 0;
  // How much of that it took to connect; negative if there was no connection.
  int64_t connect_micros = -1;
};

class SessionLog {
 public:
  static constexpr size_t kRecordsPerWorker = 4'096;

  // `wake` is called on a worker's thread if there is something to take and it has not been called
  // since the last Take.
  SessionLog(size_t workers, std::function<void()> wake);
  // False if there is no room.
  bool Add(size_t worker, const EndedSession& ended);
  // Appends at most `max`, oldest first of each worker. True if there may be more; if not, the next
  // Add wakes.
  bool Take(size_t max, std::vector<EndedSession>& taken);

 private:
  struct Ring {
    // How many have ever been added and taken, each on a cache line of its own.
    alignas(64) std::atomic<uint64_t> added{0};
    alignas(64) std::atomic<uint64_t> taken{0};
    alignas(64) std::vector<EndedSession> records = std::vector<EndedSession>(kRecordsPerWorker);
  };

  static bool TakeFrom(Ring& ring, size_t max, std::vector<EndedSession>& taken);

  const std::function<void()> wake_;
  std::atomic<bool> woken_{false};
  std::vector<std::unique_ptr<Ring>> rings_;
};

// Null: the ends of sessions are not reported.
using SessionLogPtr = std::shared_ptr<SessionLog>;

}  // namespace spliceport
