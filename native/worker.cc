// The loop: wait for events and hand them out (a task in the inbox is one), run the timers that are due, give the ones
// that yielded their turn, forget the dead.
//
// Spinning: with Settings::spin_micros the worker polls for that long after the last event before it sleeps, which
// saves the wake-up of a single chatty connection. It gives that up after kMostFruitlessSpins sleeps that polling did
// not prevent, and begins again when an event comes so soon after the worker fell asleep that polling would have
// caught it: an idle or slowly used worker spends nothing. With a session in bulk it does not poll either: that would take
// the processor from the peers that there is so much to wait for.

#include "worker.h"

#include <pthread.h>
#include <signal.h>

#include <string>

#include "udp_forward.h"

namespace spliceport {

namespace {

constexpr int kMostFruitlessSpins = 4;

// A batch thread does not interrupt what runs when it is woken (sched(7)). Peers that run on write more before they are
// read, so that each wake moves more; it takes no privilege, and a sandbox that forbids it costs only the gain.
void WorkInBatches() {
  const sched_param none{};
  (void)pthread_setschedparam(pthread_self(), SCHED_BATCH, &none);
}

// Signals are the embedding program's: none may be delivered here. SIGPIPE, which splice(2) raises in its own thread,
// stays pending and harmless.
std::thread StartWithoutSignals(std::function<void()> body) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(std::move(body));
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

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
  worker->thread_ = StartWithoutSignals([self = worker.get(), index] {
    pthread_setname_np(pthread_self(), ("spliceport-" + std::to_string(index)).c_str());
    WorkInBatches();
    self->Loop();
  });
  return worker;
}

Worker::Worker(size_t index, const Settings& settings, Balance& balance, RouteRegistry& routes,
               WorkerPeers& peers, Epoll epoll, Waker waker)
    : settings_(settings),
      peers_(peers),
      waker_(std::move(waker)),
      reactor_(std::move(epoll), settings, balance, routes, index) {}

Worker::~Worker() { Stop(); }

void Worker::Post(std::function<void()> task) {
  {
    const std::lock_guard lock(inbox_mutex_);
    inbox_.push_back(std::move(task));
  }
  waker_.Wake();
}

void Worker::Stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true, std::memory_order_release);
  waker_.Wake();
  thread_.join();
}

void Worker::OnEvents(uint32_t /*events*/) {
  waker_.Drain();
  std::vector<std::function<void()>> tasks;
  {
    const std::lock_guard lock(inbox_mutex_);
    tasks.swap(inbox_);
  }
  for (auto& task : tasks)
    task();
}

void Worker::Loop() {
  while (!stopping_.load(std::memory_order_acquire)) {
    const int events = Wait();
    reactor_.timers.RunDue();
    reactor_.RunTurns();
    reactor_.ClearBuried();
    if (events > 0 && settings_.spin_micros > 0)
      spin_until_micros_ = NowMicros() + settings_.spin_micros;
  }
  for (auto& [id, entry] : forwards_) {
    entry.forward->StopAccepting(false);
    entry.forward->CloseAll();
  }
  reactor_.RunTurns();
  reactor_.ClearBuried();
  forwards_.clear();
}

bool Worker::MaySpin() const {
  return settings_.spin_micros > 0 && fruitless_spins_ < kMostFruitlessSpins &&
         !reactor_.balance.HasBulk(reactor_.worker);
}

int Worker::Wait() {
  if (reactor_.HasTurns()) return reactor_.epoll.Dispatch(events_, 0);
  if (MaySpin()) {
    while (NowMicros() < spin_until_micros_) {
      const int events = reactor_.epoll.Dispatch(events_, 0);
      if (events > 0) {
        fruitless_spins_ = 0;
        return events;
      }
    }
    ++fruitless_spins_;
  }
  const int timeout = reactor_.timers.MillisUntilNext();
  const int64_t asleep_since = settings_.spin_micros > 0 ? NowMicros() : 0;
  const int events = reactor_.epoll.Dispatch(events_, timeout);
  if (settings_.spin_micros > 0 && NowMicros() - asleep_since < settings_.spin_micros)
    fruitless_spins_ = 0;
  return events;
}

Result<void> Worker::Add(const ForwardConfig& config, ForwardCounters& counters) {
  Entry entry;
  Result<void> started;
  if (config.protocol == Protocol::kTcp) {
    auto forward =
        std::make_unique<TcpForward>(reactor_, static_cast<ForwardOwner&>(*this),
                                     static_cast<ForwardParts&>(*this), config, counters);
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
  // Retargets come with changes of the container's networks.
  reactor_.client_routes.DoubtAll();
  LeaveUnusedNetns(old_netns);
}

void Worker::Remove(int id, int64_t drain_micros) {
  const auto found = forwards_.find(id);
  if (found == forwards_.end()) return;
  Entry& entry = found->second;
  entry.forward->StopAccepting(drain_micros > 0);
  if (drain_micros == 0) entry.forward->CloseAll();
  if (entry.forward->Done()) return OnForwardDone(id);
  // With nothing to drain there is only a session that is moving to wait for, and its arrival ends the forward.
  if (drain_micros == 0) return;
  entry.drain = std::make_unique<DrainTimer>(*this, id);
  reactor_.timers.Arm(*entry.drain, NowMicros() + drain_micros);
}

void Worker::OnForwardDone(int id) {
  auto node = forwards_.extract(id);
  if (node.empty()) return;
  if (node.mapped().drain) reactor_.timers.Cancel(*node.mapped().drain);
  const NetnsPtr netns = node.mapped().forward->target()->netns;
  reactor_.Bury(std::move(node.mapped().forward));
  LeaveUnusedNetns(netns);
  peers_.OnDone(id);
}

void Worker::ShareCrowd(int id) {
  peers_.PostToAllBut(reactor_.worker, [id](Worker& other) {
    const auto found = other.forwards_.find(id);
    if (found != other.forwards_.end()) found->second.tcp->TakeSome();
  });
}

// Tasks are copied, so what they carry is shared. What is still in an inbox when the engine closes dies with it.
void Worker::MoveSession(int id, size_t to, std::unique_ptr<TcpSession> session) {
  auto moved = std::make_shared<std::unique_ptr<TcpSession>>(std::move(session));
  peers_.PostTo(to, [id, from = reactor_.worker, moved](Worker& other) {
    other.ReceiveSession(id, from, std::move(*moved));
  });
}

void Worker::ReceiveSession(int id, size_t from, std::unique_ptr<TcpSession> session) {
  const auto found = forwards_.find(id);
  if (found != forwards_.end()) found->second.tcp->Adopt(std::move(session));
  auto returned = std::make_shared<std::unique_ptr<TcpSession>>(std::move(session));
  peers_.PostTo(from, [id, returned](Worker& other) {
    other.forwards_.at(id).tcp->EndMove(std::move(*returned));
  });
}

void Worker::LeaveUnusedNetns(const NetnsPtr& netns) {
  if (!netns) return;
  for (const auto& [id, entry] : forwards_) {
    const NetnsPtr& other = entry.forward->target()->netns;
    if (other && other->IsSameAs(*netns)) return;
  }
  reactor_.netns.LeaveIfIn(*netns);
}

void Worker::Describe(std::vector<SessionInfo>& sessions) const {
  for (const auto& [id, entry] : forwards_)
    entry.forward->Describe(sessions);
}

}  // namespace spliceport
