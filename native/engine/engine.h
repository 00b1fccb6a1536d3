// engine.h: the workers and the forwards they serve. Many engines may live in one process.
// Owns:   its workers, the counters, one descriptor per network namespace in use.
// Thread: all calls are for one thread, the embedding program's. Each waits until the workers are
//         done, which takes microseconds, because they never block. EngineEvents is called on
//         worker threads.
// Fails:  SysError. On failure nothing is left half done.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "base/descriptor_budget.h"
#include "engine/worker.h"

namespace spliceport {

class EngineEvents {
 public:
  // The last session of a removed forward has ended. Called on a worker's thread, once for each id
  // given to Remove.
  virtual void OnRemoved(int id) = 0;
  // The first client of a forward that was not connected since the last one that was. Called on a
  // worker's thread.
  virtual void OnConnectFailed(int id, const ConnectFailure& failure) = 0;

 protected:
  ~EngineEvents() = default;
};

// What a forward is now.
struct ForwardInfo {
  int id = 0;
  Protocol protocol = Protocol::kTcp;
  Address host;
  // Whether the host socket also takes IPv4 clients, of an IPv6 wildcard address.
  bool dual_stack = false;
  TargetPtr target;
  SourceAddress source_address = SourceAddress::kContainer;
  // Removed, with sessions that may still continue.
  bool draining = false;
};

class Engine final : private WorkerPeers {
 public:
  static Result<std::unique_ptr<Engine>> Create(const Settings& settings, EngineEvents& events);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // The namespace behind `borrowed_fd`: one object for each namespace, null for -1, the process's
  // own.
  Result<NetnsPtr> NetnsFor(int borrowed_fd);

  // All or none.
  Result<void> Add(const std::vector<ForwardConfig>& configs);
  // In effect for all when it returns.
  void Retarget(const std::vector<std::pair<int, TargetPtr>>& changes);
  // The host sockets are closed when it returns. Sessions may continue for `drain_micros`; 0: they
  // are closed as well.
  void Remove(const std::vector<int>& ids, int64_t drain_micros);
  bool Has(int id);
  // By id.
  std::vector<ForwardInfo> Forwards();
  // Where new sessions of a forward go; null if there is none of this id.
  TargetPtr TargetOf(int id);
  // Adds the counters of a forward to `sum`, until it is gone.
  void Sum(int id, ForwardCounters& sum);
  // Calls `take` with the counters of each, in this order.
  void SumEach(std::span<const int> ids, const std::function<void(const ForwardCounters&)>& take);
  // The same for all forwards that an owner has had, until the owner is forgotten.
  void SumOf(int owner, ForwardCounters& sum);
  // Once its forwards are removed.
  void ForgetOwner(int owner);
  // Workers serve their clients meanwhile. A session that moves between workers may be missing.
  std::vector<SessionInfo> Sessions();
  // How sessions are spread over the workers.
  const Balance& balance() const { return balance_; }
  // Stops the workers and closes everything; OnRemoved is not called any more. May be called twice.
  void Close();

 private:
  struct Record {
    void AddTo(ForwardCounters& sum) const;
    // By worker; null for a worker that does not serve the forward.
    std::vector<std::unique_ptr<ForwardCounters>> counters;
    int workers_left = 0;
    int owner = 0;
    BudgetPlace listener;
    // Without its host address as long as there is a host socket to be asked.
    ForwardInfo info;
    std::weak_ptr<const UniqueFd> host_socket;
    FirstFailurePtr first_failure;
    // Its Add failed, so its end is not reported.
    bool forgotten = false;
    // Its sessions are closed, so it is no longer listed.
    bool closing = false;
  };

  Engine(EngineEvents& events, const Settings& settings);
  void OnAllWorkers(const std::function<void(size_t, Worker&)>& task);
  bool Serves(const ForwardConfig& config, size_t worker) const;
  bool Accepts(int id, size_t worker) const;
  ForwardConfig PartOf(const ForwardConfig& config, size_t worker);
  ForwardCounters* CountersOf(int id, size_t worker);
  void OnDone(int id) override;
  void PostTo(size_t worker, Task<Worker&> task) override;
  void PostToAllBut(size_t worker, const std::function<void(Worker&)>& task) override;
  void Forget(const std::vector<ForwardConfig>& configs);
  Record RecordFor(const ForwardConfig& config);
  void NoteRemoval(const std::vector<int>& ids, bool drains);

  EngineEvents& events_;
  const size_t acceptors_;
  Balance balance_;
  RouteRegistry routes_;
  std::vector<std::weak_ptr<const Netns>> netns_;
  // Guards records_ and retired_of_: workers remove a record when its forward is done.
  // The counters of a record are not guarded, and stay where they are until then.
  std::mutex mutex_;
  std::map<int, Record> records_;
  std::map<int, ForwardCounters> retired_of_;
  uint32_t listings_ = 0;
  // Last: workers use everything above.
  std::vector<std::unique_ptr<Worker>> workers_;
};

}  // namespace spliceport
