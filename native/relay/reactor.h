// reactor.h: what a worker lends to its forwards, sessions and flows.
// Owns:   the epoll set, timers, pipes, scratch memory and the namespace that its thread is in.
// Thread: the worker's, for everything here.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/epoll.h"
#include "base/memory_trim.h"
#include "base/timer.h"
#include "base/unique_ids.h"
#include "net/setns.h"
#include "net/udp_batch.h"
#include "relay/balance.h"
#include "relay/counters.h"
#include "relay/flow_room.h"
#include "relay/pipe.h"
#include "relay/session_log.h"
#include "relay/settings.h"
#include "routes/client_routes.h"

namespace spliceport {

// Something that has more work but yielded to others. Its turn comes after the current events.
class Runnable {
 public:
  virtual void OnTurn() = 0;

 protected:
  ~Runnable() = default;

 private:
  friend class Reactor;
  bool queued_ = false;
};

// A forward whose replies wait in DatagramMemory, to be sent together after the current events:
// many flows have events, but they share one host socket. A forward flushes another forward's
// replies before it adds its own.
class ReplySink {
 public:
  virtual void SendReplies() = 0;

 protected:
  ~ReplySink() = default;
};

struct DatagramMemory {
  ReceiveBatch from_clients;
  ReceiveBatch from_container;
  SendBatch to_container;
  SendBatch to_clients;
  ReplySink* replies_of = nullptr;  // Null when from_container and to_clients are empty.
};

// Base of objects that events or turns of the current batch may still point to; DeleteLater frees
// them after the batch.
class Deletable {
 public:
  virtual ~Deletable() = default;
};

class Reactor {
 public:
  // `worker_index` is the worker's index among those that share `spread` and `routes`.
  Reactor(Epoll poll, const Settings& settings, Balance& spread, RouteRegistry& routes,
          size_t worker_index)
      : epoll(std::move(poll)),
        pipes(settings.pipe_capacity_bytes),
        balance(spread),
        worker(worker_index),
        client_routes(timers, routes),
        near_rtt_micros(settings.near_rtt_micros) {}

  void QueueTurn(Runnable& runnable) {
    if (std::exchange(runnable.queued_, true)) return;
    turns_.push_back(&runnable);
  }
  // For a runnable that is about to be deleted: its turn could come after that.
  void CancelTurn(Runnable& runnable) {
    if (std::exchange(runnable.queued_, false)) std::erase(turns_, &runnable);
  }
  // Does nothing without a log.
  void LogEnded(SessionLog* log, const EndedSession& ended, ForwardCounters& counters) const {
    if (log && !log->Add(worker, ended)) counters.session_log_dropped.Add();
  }
  bool HasTurns() const { return !turns_.empty(); }
  // One turn for each that is queued now. One that queues itself again waits for the next round.
  void RunTurns() {
    running_.swap(turns_);
    for (Runnable* runnable : running_) {
      runnable->queued_ = false;
      runnable->OnTurn();
    }
    running_.clear();
  }

  void DeleteLater(std::unique_ptr<Deletable> object) {
    pending_delete_.push_back(std::move(object));
  }
  // Between batches, when no event or turn can point to them.
  void DeletePending() { pending_delete_.clear(); }

  // Memory for the current call: its contents must not be needed after the return to the loop.
  std::span<char> Scratch() {
    if (!scratch_) scratch_ = std::make_unique_for_overwrite<char[]>(kScratchBytes);
    return {scratch_.get(), kScratchBytes};
  }

  // Allocated with the first datagram: a worker without UDP does not pay for it.
  DatagramMemory& Datagrams() {
    if (!datagrams_) datagrams_ = std::make_unique<DatagramMemory>();
    return *datagrams_;
  }

  static constexpr size_t kScratchBytes = 128 << 10;

  Epoll epoll;
  TimerQueue timers;
  MemoryTrim memory{timers};
  PipePool pipes;
  FlowRoom flow_room;
  NetnsCursor netns;
  UniqueIds unique_ids;
  Balance& balance;
  const size_t worker;
  ClientRoutes client_routes;
  const uint32_t near_rtt_micros;

 private:
  std::vector<Runnable*> turns_;
  std::vector<Runnable*> running_;
  std::vector<std::unique_ptr<Deletable>> pending_delete_;
  std::unique_ptr<char[]> scratch_;
  std::unique_ptr<DatagramMemory> datagrams_;
};

}  // namespace spliceport
