#include "engine/engine.h"

#include <algorithm>
#include <cerrno>
#include <latch>

namespace spliceport {

namespace {

// The limits that belong to the host socket, which all workers share.
void ApplyLimits(const ForwardConfig& config) {
  const int fd = config.host_socket->get();
  if (config.protocol == Protocol::kTcp) return SetKeepalive(fd, config.limits.keepalive);
  if (!config.limits.udp_segmentation) SetReceiveOffload(fd, false);
}

void DescribeHost(const UniqueFd& host_socket, ForwardInfo& info) {
  info.host = SourceOf(host_socket);
  info.dual_stack = IsDualStack(host_socket.get(), info.host);
}

}  // namespace

void Engine::Record::AddTo(ForwardCounters& sum) const {
  for (const auto& part : counters) {
    if (part) sum.Merge(*part);
  }
}

Engine::Engine(EngineEvents& events, const Settings& settings)
    : events_(events),
      acceptors_(settings.acceptors),
      balance_(static_cast<size_t>(settings.workers)) {}

Result<std::unique_ptr<Engine>> Engine::Create(const Settings& settings, EngineEvents& events) {
  const auto measured = DescriptorBudget::OfProcess().Measure();
  if (!measured.ok()) return measured.error();
  std::unique_ptr<Engine> engine(new Engine(events, settings));
  for (size_t index = 0; index < static_cast<size_t>(settings.workers); ++index) {
    auto worker = Worker::Start(index, settings, engine->balance_, engine->routes_, *engine);
    if (!worker.ok()) return worker.error();
    engine->workers_.push_back(std::move(worker.value()));
  }
  return engine;
}

Engine::~Engine() { Close(); }

Result<NetnsPtr> Engine::NetnsFor(int borrowed_fd) {
  if (borrowed_fd < 0) return NetnsPtr();
  auto opened = Netns::From(borrowed_fd);
  if (!opened.ok()) return opened.error();
  std::erase_if(netns_, [](const auto& known) { return known.expired(); });
  for (const auto& known : netns_) {
    const NetnsPtr netns = known.lock();
    if (netns && netns->IsSameAs(*opened.value())) return netns;
  }
  netns_.push_back(opened.value());
  return NetnsPtr(opened.value());
}

// Waits until each worker is done, so a task may use the caller's stack.
void Engine::OnAllWorkers(const std::function<void(size_t, Worker&)>& task) {
  std::latch done(static_cast<ptrdiff_t>(workers_.size()));
  for (size_t index = 0; index < workers_.size(); ++index) {
    Worker& worker = *workers_[index];
    worker.Post([&task, &done, &worker, index] {
      task(index, worker);
      done.count_down();
    });
  }
  done.wait();
}

// All workers share a listener. A UDP socket has one worker: two would break the order of a flow.
bool Engine::Serves(const ForwardConfig& config, size_t worker) const {
  return config.protocol == Protocol::kTcp ||
         static_cast<size_t>(config.id) % workers_.size() == worker;
}

// The forward's own worker and the next ones, as many as there are acceptors.
bool Engine::Accepts(int id, size_t worker) const {
  const size_t own = static_cast<size_t>(id) % workers_.size();
  return (worker + workers_.size() - own) % workers_.size() < acceptors_;
}

Result<void> Engine::Add(const std::vector<ForwardConfig>& configs) {
  // Rather a failure than an open port that can serve nobody.
  if (!DescriptorBudget::OfProcess().CanServe(configs.size())) return SysError{-EMFILE, "accept"};
  for (const ForwardConfig& config : configs)
    ApplyLimits(config);
  {
    const std::lock_guard lock(mutex_);
    for (const ForwardConfig& config : configs) {
      retired_of_.try_emplace(config.owner);
      const bool is_new = records_.emplace(config.id, RecordFor(config)).second;
      Check(is_new, "a forward's id was used twice");
    }
  }
  std::vector<Result<void>> outcomes(workers_.size());
  OnAllWorkers([&](size_t index, Worker& worker) {
    for (const ForwardConfig& config : configs) {
      if (!outcomes[index].ok()) return;
      if (!Serves(config, index)) continue;
      outcomes[index] = worker.Add(PartOf(config, index), *CountersOf(config.id, index));
    }
  });
  for (const Result<void>& outcome : outcomes) {
    if (outcome.ok()) continue;
    Forget(configs);
    return outcome;
  }
  return {};
}

Engine::Record Engine::RecordFor(const ForwardConfig& config) {
  Record record;
  record.owner = config.owner;
  record.listener = DescriptorBudget::OfProcess().TakeListener();
  record.info.id = config.id;
  record.info.protocol = config.protocol;
  record.info.target = config.target;
  record.info.source_address = config.source_address;
  record.host_socket = config.host_socket;
  record.first_failure =
      std::make_shared<FirstFailure>([this, id = config.id](const ConnectFailure& failure) {
        events_.OnConnectFailed(id, failure);
      });
  for (size_t worker = 0; worker < workers_.size(); ++worker) {
    const bool serves = Serves(config, worker);
    record.counters.push_back(serves ? std::make_unique<ForwardCounters>() : nullptr);
    record.workers_left += serves ? 1 : 0;
  }
  return record;
}

ForwardConfig Engine::PartOf(const ForwardConfig& config, size_t worker) {
  ForwardConfig part = config;
  part.accepts = Accepts(config.id, worker);
  const std::lock_guard lock(mutex_);
  part.first_failure = records_.at(config.id).first_failure;
  return part;
}

ForwardCounters* Engine::CountersOf(int id, size_t worker) {
  const std::lock_guard lock(mutex_);
  return records_.at(id).counters[worker].get();
}

// Undoes an Add that failed halfway. A session that is between two workers counts until it has
// arrived, so the records stay until each worker is done.
void Engine::Forget(const std::vector<ForwardConfig>& configs) {
  {
    const std::lock_guard lock(mutex_);
    for (const ForwardConfig& config : configs)
      records_.at(config.id).forgotten = true;
  }
  OnAllWorkers([&](size_t index, Worker& worker) {
    for (const ForwardConfig& config : configs) {
      if (!Serves(config, index)) continue;
      if (worker.Has(config.id)) {
        worker.Remove(config.id, 0);
      } else {
        OnDone(config.id);
      }
    }
  });
}

void Engine::Retarget(const std::vector<std::pair<int, TargetPtr>>& changes) {
  OnAllWorkers([&](size_t, Worker& worker) {
    for (const auto& [id, target] : changes)
      worker.Retarget(id, target);
  });
  const std::lock_guard lock(mutex_);
  for (const auto& [id, target] : changes) {
    const auto found = records_.find(id);
    if (found == records_.end()) continue;
    found->second.info.target = target;
    // What failed with the old target says nothing about the new one.
    found->second.first_failure->OnConnected();
  }
}

void Engine::Remove(const std::vector<int>& ids, int64_t drain_micros) {
  NoteRemoval(ids, drain_micros > 0);
  OnAllWorkers([&](size_t, Worker& worker) {
    for (const int id : ids)
      worker.Remove(id, drain_micros);
  });
}

// The host sockets are there to be asked for the last time.
void Engine::NoteRemoval(const std::vector<int>& ids, bool drains) {
  const std::lock_guard lock(mutex_);
  for (const int id : ids) {
    const auto found = records_.find(id);
    if (found == records_.end()) continue;
    Record& record = found->second;
    record.closing = record.closing || !drains;
    record.info.draining = true;
    if (const SharedFd host_socket = record.host_socket.lock(); host_socket && drains)
      DescribeHost(*host_socket, record.info);
  }
}

std::vector<ForwardInfo> Engine::Forwards() {
  std::vector<ForwardInfo> forwards;
  std::vector<SharedFd> host_sockets;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, record] : records_) {
      if (record.forgotten || record.closing) continue;
      forwards.push_back(record.info);
      host_sockets.push_back(record.info.draining ? nullptr : record.host_socket.lock());
    }
  }
  for (size_t i = 0; i < forwards.size(); ++i) {
    if (host_sockets[i]) DescribeHost(*host_sockets[i], forwards[i]);
  }
  return forwards;
}

TargetPtr Engine::TargetOf(int id) {
  const std::lock_guard lock(mutex_);
  const auto found = records_.find(id);
  return found == records_.end() ? nullptr : found->second.info.target;
}

bool Engine::Has(int id) {
  const std::lock_guard lock(mutex_);
  return records_.contains(id);
}

void Engine::PostTo(size_t worker, Task<Worker&> task) {
  Worker& receiver = *workers_[worker];
  receiver.Post([task = std::move(task), &receiver]() mutable { task(receiver); });
}

void Engine::PostToAllBut(size_t worker, const std::function<void(Worker&)>& task) {
  for (size_t other = 0; other < workers_.size(); ++other) {
    if (other != worker) PostTo(other, task);
  }
}

void Engine::OnDone(int id) {
  bool forgotten = false;
  {
    const std::lock_guard lock(mutex_);
    const auto found = records_.find(id);
    if (found == records_.end() || --found->second.workers_left > 0) return;
    forgotten = found->second.forgotten;
    const auto owner = retired_of_.find(found->second.owner);
    if (owner != retired_of_.end()) found->second.AddTo(owner->second);
    records_.erase(found);
  }
  if (!forgotten) events_.OnRemoved(id);
}

void Engine::Sum(int id, ForwardCounters& sum) {
  const std::lock_guard lock(mutex_);
  const auto found = records_.find(id);
  if (found != records_.end()) found->second.AddTo(sum);
}

void Engine::SumEach(std::span<const int> ids,
                     const std::function<void(const ForwardCounters&)>& take) {
  const std::lock_guard lock(mutex_);
  auto next = records_.begin();
  for (const int id : ids) {
    ForwardCounters sum;
    // Those who ask for many usually ask in order.
    if (next == records_.end() || next->first != id) next = records_.find(id);
    if (next != records_.end()) next++->second.AddTo(sum);
    take(sum);
  }
}

void Engine::SumOf(int owner, ForwardCounters& sum) {
  const std::lock_guard lock(mutex_);
  for (const auto& [known, record] : records_) {
    if (record.owner == owner) record.AddTo(sum);
  }
  const auto retired = retired_of_.find(owner);
  if (retired != retired_of_.end()) sum.Merge(retired->second);
}

void Engine::ForgetOwner(int owner) {
  const std::lock_guard lock(mutex_);
  retired_of_.erase(owner);
}

std::vector<SessionInfo> Engine::Sessions() {
  ++listings_;
  std::vector<SessionListing> listings(workers_.size());
  for (SessionListing& listing : listings)
    listing.number = listings_;
  const auto is_done = [](const SessionListing& listing) { return listing.done; };
  while (!std::all_of(listings.begin(), listings.end(), is_done)) {
    OnAllWorkers([&](size_t index, Worker& worker) {
      if (!listings[index].done) worker.Describe(listings[index]);
    });
  }
  std::vector<SessionInfo> all;
  for (const SessionListing& listing : listings)
    all.insert(all.end(), listing.sessions.begin(), listing.sessions.end());
  return all;
}

void Engine::Close() {
  for (auto& worker : workers_)
    worker->Stop();
  workers_.clear();
  {
    const std::lock_guard lock(mutex_);
    for (auto& [id, record] : records_)
      record.info.target.reset();
  }
  routes_.RemoveIdle();
}

}  // namespace spliceport
