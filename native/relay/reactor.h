// reactor.h: what a worker lends to the forwards, sessions and flows that it runs.
// Owns:   the epoll set, timers, pipes, scratch memory and its thread's place among the namespaces.
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
#include "routes/client_routes.h"

namespace spliceport {

// Everything an engine can be told. Values of none are no defaults: src/spec/fields.ts has those, and the ranges.
struct Settings {
  int workers = 0;
  // Workers that take the new connections of one forward; 0: half of the processors, at least one.
  size_t acceptors = 0;
  int64_t spin_micros = 0;
  size_t pipe_capacity_bytes = 0;
  // A client is near, and bulk to it gets a small send buffer, up to this round trip; 0: no side gets one.
  uint32_t near_rtt_micros = 0;
};

// Something with work left that gave way to others; its turn comes after the events in hand.
class Runnable {
 public:
  virtual void OnTurn() = 0;

 protected:
  ~Runnable() = default;

 private:
  friend class Reactor;
  bool queued_ = false;
};

// Replies on their way from many flows to one host socket: sent together after the events in hand, since the flows'
// events are many and the socket is one. Who wants to add to it while another's replies are in it, has them sent first.
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
  ReplySink* replies_of = nullptr;
};

// Base of what may be named by events or turns of the batch in hand, and so dies only after it.
class Mortal {
 public:
  virtual ~Mortal() = default;
};

class Reactor {
 public:
  // `worker_index` is the worker's place among those that share `spread` and `routes`.
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
  // For a runnable that is about to be buried: the turn it asked for may come after its burial.
  void CancelTurn(Runnable& runnable) {
    if (std::exchange(runnable.queued_, false)) std::erase(turns_, &runnable);
  }
  // Does nothing without a log.
  void Tell(SessionLog* log, const EndedSession& ended, ForwardCounters& counters) const {
    if (log && !log->Add(worker, ended)) counters.session_log_dropped.Add();
  }
  bool HasTurns() const { return !turns_.empty(); }
  // One turn for each that is queued now; who queues itself again waits for the next round.
  void RunTurns() {
    running_.swap(turns_);
    for (Runnable* runnable : running_) {
      runnable->queued_ = false;
      runnable->OnTurn();
    }
    running_.clear();
  }

  void Bury(std::unique_ptr<Mortal> mortal) { buried_.push_back(std::move(mortal)); }
  // Between batches, when neither an event nor a turn can name the dead.
  void ClearBuried() { buried_.clear(); }

  // Memory for one call: whoever uses it must be done with it before it returns to the loop.
  std::span<char> Scratch() {
    if (!scratch_) scratch_ = std::make_unique_for_overwrite<char[]>(kScratchBytes);
    return {scratch_.get(), kScratchBytes};
  }

  // Made with the first datagram: a worker without UDP does not pay for it.
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
  std::vector<std::unique_ptr<Mortal>> buried_;
  std::unique_ptr<char[]> scratch_;
  std::unique_ptr<DatagramMemory> datagrams_;
};

}  // namespace spliceport
