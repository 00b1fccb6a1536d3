// worker.h: one native thread with its reactor and its part of every forward.
// Owns:   the thread, the reactor, the forwards.
// Thread: Start and Stop are for the engine's owner. Post may be called on any thread, and runs its
//         task on the worker.
// Fails:  only Start can fail. After it the loop runs until Stop.
#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/processor_share.h"
#include "base/task.h"
#include "base/thread.h"
#include "relay/forward.h"
#include "relay/reactor.h"
#include "tcp/tcp_forward.h"

namespace spliceport {

class Worker;

// What a worker needs of the engine it is part of; called on the worker's thread.
class WorkerPeers {
 public:
  // A removed forward is done on this worker.
  virtual void OnDone(int id) = 0;
  // Runs `task` on a worker of the same engine, as Worker::Post does.
  virtual void PostTo(size_t worker, Task<Worker&> task) = 0;
  virtual void PostToAllBut(size_t worker, const std::function<void(Worker&)>& task) = 0;

 protected:
  ~WorkerPeers() = default;
};

class Worker final : private EventHandler, private ForwardHost {
 public:
  // `index` is its index among the workers that share `balance` and `routes`.
  static Result<std::unique_ptr<Worker>> Start(size_t index, const Settings& settings,
                                               Balance& balance, RouteRegistry& routes,
                                               WorkerPeers& peers);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Runs `task` on the worker's thread, within microseconds, because the worker never blocks. A
  // task that is still in the inbox when the worker stops is destroyed, with what it owns.
  void Post(Task<> task);
  // Ends the thread, and closes everything that is open. May be called twice.
  void Stop();

  // What follows is for tasks that run on the worker.
  Result<void> Add(const ForwardConfig& config, ForwardCounters& counters);
  bool Has(int id) const { return forwards_.contains(id); }
  void Retarget(int id, const TargetPtr& target);
  void Remove(int id, int64_t drain_micros);
  // Adds a piece to the list.
  void Describe(SessionListing& listing);

 private:
  struct DrainTimer final : Timer {
    DrainTimer(Worker& worker, int forward_id) : owner(worker), id(forward_id) {}
    void OnTimer() override { owner.Remove(id, 0); }
    Worker& owner;
    const int id;
  };
  struct Entry {
    std::unique_ptr<Forward> forward;
    TcpForward* tcp = nullptr;  // The same object, or null if the forward is UDP.
    std::unique_ptr<DrainTimer> drain;
  };

  Worker(size_t index, const Settings& settings, Balance& balance, RouteRegistry& routes,
         WorkerPeers& peers, Epoll epoll, Waker waker);
  void OnEvents(uint32_t events) override;
  void OnForwardDone(int id) override;
  void ShareBacklog(int id) override;
  void MoveSession(int id, size_t to, std::unique_ptr<TcpSession> session) override;
  // Adopts the session, or returns it to `from` if this worker has no part of the forward any more.
  // Either way EndMove follows there: that part exists until then, because moving_ keeps it.
  void ReceiveSession(int id, size_t from, std::unique_ptr<TcpSession> session);
  void Loop();
  // The next events, after a sleep if necessary.
  std::span<const epoll_event> Wait();
  std::span<const epoll_event> Sleep();
  void PlanSpin();
  bool MaySpin() const;
  void LeaveUnusedNetns(const NetnsPtr& netns);

  const Settings settings_;
  WorkerPeers& peers_;
  Waker waker_;
  std::mutex inbox_mutex_;
  std::vector<Task<>> inbox_;
  std::atomic<bool> stopping_{false};
  Reactor reactor_;
  std::map<int, Entry> forwards_;
  std::array<epoll_event, 128> events_{};
  ProcessorShare share_;
  int64_t spin_until_micros_ = 0;
  int fruitless_spins_ = 0;
  int64_t period_begun_micros_ = 0;
  bool too_many_active_ = false;
  // Last: it uses everything above.
  Thread thread_;
};

}  // namespace spliceport
