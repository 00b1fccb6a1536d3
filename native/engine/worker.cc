// The loop: wait for events and dispatch them (a wake of the inbox is one), run the timers that are
// due, give a turn to each that yielded, free what was deleted.
//
// Spinning: with Settings::spin_micros the worker polls for that long after the last event before
// it sleeps, which saves the wake-up of a single chatty connection. It stops doing so after
// kMaxFruitlessSpins sleeps that polling did not prevent. It starts again when an event comes so
// soon after the worker fell asleep that polling would have caught it, so an idle or slow worker
// spends nothing. It does not poll either with a session in bulk, or while more than kMaxBusyToSpin
// sockets had events within one period: polling would take the CPU from the peers that it waits
// for.

#include "engine/worker.h"

#include <pthread.h>
#include <signal.h>

#include <string>
#include <utility>

#include "udp/udp_forward.h"

namespace spliceport {

namespace {

constexpr int kMaxFruitlessSpins = 4;
// Sockets: a session has two.
constexpr size_t kMaxBusyToSpin = 16;
constexpr int64_t kPeriodMicros = 10'000;
// A shorter wait does not count as sleep: no other thread could have used the time.
constexpr int64_t kLeastSleepMicros = 20;

}  // namespace

Result<std::unique_ptr<Worker>> Worker::Start(size_t index, const Settings& settings,
                                              Balance& balance, RouteRegistry& routes,
                                              WorkerPeers& peers) {
  auto epoll = Epoll::Create();
  if (!epoll.ok()) return epoll.error();
  auto waker = Waker::Create();
  if (!waker.ok()) return waker.error();
  std::unique_ptr<Worker> worker(new Worker(index, settings, balance, routes, peers,
                                            std::move(epoll.value()), std::move(waker.value())));
  const auto added = worker->reactor_.epoll.Add(worker->waker_.fd(), EPOLLIN, *worker);
  if (!added.ok()) return added.error();
  worker->reactor_.flow_room.Join([self = worker.get()] {
    self->Post([self] { (void)self->reactor_.flow_room.EvictOldestHere(); });
  });
  const auto started = worker->thread_.Start([self = worker.get(), index] {
    pthread_setname_np(pthread_self(), ("spliceport-" + std::to_string(index)).c_str());
    self->Loop();
  });
  if (!started.ok()) return started.error();
  return worker;
}

Worker::Worker(size_t index, const Settings& settings, Balance& balance, RouteRegistry& routes,
               WorkerPeers& peers, Epoll epoll, Waker waker)
    : settings_(settings),
      peers_(peers),
      waker_(std::move(waker)),
      reactor_(std::move(epoll), settings, balance, routes, index) {}

Worker::~Worker() {
  reactor_.flow_room.Leave();
  Stop();
}

void Worker::Post(Task<> task) {
  {
    const std::lock_guard lock(inbox_mutex_);
    inbox_.push_back(std::move(task));
  }
  waker_.Wake();
}

void Worker::Stop() {
  stopping_.store(true, std::memory_order_release);
  waker_.Wake();
  thread_.Join();
}

void Worker::OnEvents(uint32_t /*events*/) {
  waker_.Drain();
  std::vector<Task<>> tasks;
  {
    const std::lock_guard lock(inbox_mutex_);
    tasks.swap(inbox_);
  }
  for (auto& task : tasks)
    task();
}

void Worker::Loop() {
  share_.Begin();
  while (!stopping_.load(std::memory_order_acquire)) {
    const std::span<const epoll_event> events = Wait();
    reactor_.epoll.Dispatch(events);
    reactor_.timers.RunDue();
    reactor_.RunTurns();
    reactor_.DeletePending();
    if (!events.empty() && settings_.spin_micros > 0) PlanSpin();
  }
  for (auto& [id, entry] : forwards_) {
    entry.forward->StopAccepting(false);
    entry.forward->CloseAll();
  }
  reactor_.RunTurns();
  reactor_.DeletePending();
  forwards_.clear();
}

void Worker::PlanSpin() {
  const int64_t now = NowMicros();
  spin_until_micros_ = now + settings_.spin_micros;
  const bool period_ends = now - period_begun_micros_ >= kPeriodMicros;
  too_many_active_ =
      reactor_.epoll.busy_handlers() > kMaxBusyToSpin || (too_many_active_ && !period_ends);
  if (!period_ends) return;
  period_begun_micros_ = now;
  reactor_.epoll.BeginPeriod();
}

bool Worker::MaySpin() const {
  return settings_.spin_micros > 0 && fruitless_spins_ < kMaxFruitlessSpins && !too_many_active_ &&
         !reactor_.balance.Has(reactor_.worker, SessionKind::kBulk);
}

std::span<const epoll_event> Worker::Wait() {
  // Only for messages: bulk, short connections and datagrams lose by it, and need no other worker.
  if (reactor_.balance.Has(reactor_.worker, SessionKind::kMessages)) share_.YieldSlice(NowMicros());
  if (reactor_.HasTurns()) return reactor_.epoll.Wait(events_, 0);
  if (MaySpin()) {
    while (NowMicros() < spin_until_micros_) {
      const std::span<const epoll_event> events = reactor_.epoll.Wait(events_, 0);
      if (events.empty()) continue;
      fruitless_spins_ = 0;
      return events;
    }
    ++fruitless_spins_;
  }
  return Sleep();
}

std::span<const epoll_event> Worker::Sleep() {
  const int timeout = reactor_.timers.MillisUntilNext();
  const int64_t since = NowMicros();
  const std::span<const epoll_event> events = reactor_.epoll.Wait(events_, timeout);
  const int64_t now = NowMicros();
  if (now - since >= kLeastSleepMicros) share_.Slept(now);
  if (now - since < settings_.spin_micros) fruitless_spins_ = 0;
  return events;
}

Result<void> Worker::Add(const ForwardConfig& config, ForwardCounters& counters) {
  Entry entry;
  Result<void> started;
  if (config.protocol == Protocol::kTcp) {
    auto forward =
        std::make_unique<TcpForward>(reactor_, static_cast<ForwardHost&>(*this), config, counters);
    started = forward->Start();
    entry.tcp = forward.get();
    entry.forward = std::move(forward);
  } else {
    auto forward = std::make_unique<UdpForward>(reactor_, config, counters);
    started = forward->Start();
    entry.forward = std::move(forward);
  }
  if (started.ok()) forwards_.emplace(config.id, std::move(entry));
  return started;
}

void Worker::Retarget(int id, const TargetPtr& target) {
  const auto found = forwards_.find(id);
  if (found == forwards_.end()) return;
  const NetnsPtr old_netns = found->second.forward->target()->netns;
  found->second.forward->Retarget(target);
  // A retarget comes with a change of the container's networks.
  reactor_.client_routes.MarkAllStale();
  LeaveUnusedNetns(old_netns);
}

void Worker::Remove(int id, int64_t drain_micros) {
  const auto found = forwards_.find(id);
  if (found == forwards_.end()) return;
  Entry& entry = found->second;
  entry.forward->StopAccepting(drain_micros > 0);
  if (drain_micros == 0) entry.forward->CloseAll();
  if (entry.forward->Done()) return OnForwardDone(id);
  // With nothing to drain, only a session that is moving can be left. Its arrival ends the forward.
  if (drain_micros == 0) return;
  entry.drain = std::make_unique<DrainTimer>(*this, id);
  reactor_.timers.Arm(*entry.drain, NowMicros() + drain_micros);
}

void Worker::OnForwardDone(int id) {
  auto node = forwards_.extract(id);
  if (node.empty()) return;
  if (node.mapped().drain) reactor_.timers.Cancel(*node.mapped().drain);
  const NetnsPtr netns = node.mapped().forward->target()->netns;
  reactor_.DeleteLater(std::move(node.mapped().forward));
  LeaveUnusedNetns(netns);
  peers_.OnDone(id);
}

void Worker::ShareBacklog(int id) {
  peers_.PostToAllBut(reactor_.worker, [id](Worker& other) {
    const auto found = other.forwards_.find(id);
    if (found != other.forwards_.end()) found->second.tcp->AcceptBatch();
  });
}

void Worker::MoveSession(int id, size_t to, std::unique_ptr<TcpSession> session) {
  peers_.PostTo(to,
                [id, from = reactor_.worker, session = std::move(session)](Worker& other) mutable {
                  other.ReceiveSession(id, from, std::move(session));
                });
}

void Worker::ReceiveSession(int id, size_t from, std::unique_ptr<TcpSession> session) {
  std::unique_ptr<TcpSession> returned;
  if (const auto found = forwards_.find(id); found != forwards_.end())
    found->second.tcp->Adopt(std::move(session));
  else
    returned = std::move(session);
  peers_.PostTo(from, [id, returned = std::move(returned)](Worker& other) mutable {
    other.forwards_.at(id).tcp->EndMove(std::move(returned));
  });
}

void Worker::LeaveUnusedNetns(const NetnsPtr& netns) {
  if (!netns) return;
  for (const auto& [id, entry] : forwards_) {
    if (IsSame(entry.forward->target()->netns, netns)) return;
  }
  reactor_.netns.LeaveIfIn(*netns);
}

void Worker::Describe(SessionListing& listing) {
  size_t left = SessionListing::kPiece;
  auto next = forwards_.lower_bound(listing.next_id);
  for (; next != forwards_.end() && left > 0; ++next) {
    // The forward where the last piece ended may be gone.
    if (std::exchange(listing.next_id, next->first) != next->first) listing.place.reset();
    --left;
    if (!next->second.forward->Describe(listing, left)) return;
    listing.next_id = next->first + 1;
    listing.place.reset();
  }
  listing.done = next == forwards_.end();
}

}  // namespace spliceport
