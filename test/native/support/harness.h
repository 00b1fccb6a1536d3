// harness.h: an engine with one container namespace, for tests that look at it as its embedder
//            does.
#pragma once

#include <doctest/doctest.h>

#include <functional>
#include <latch>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/engine.h"
#include "support/support.h"
#include "support/usual.h"

namespace spliceport {

class Harness final : private EngineEvents {
 public:
  // Keeps one worker from everything else between Begin and End.
  class Hold {
   public:
    Hold(Harness& harness, int worker)
        : harness_(harness), id_(1'000'000 * harness.workers_ + worker) {
      harness_.Add(id_, Protocol::kUdp, *Address::Parse("127.0.0.1", 1));
      const std::lock_guard lock(harness_.mutex_);
      harness_.holds_[id_] = this;
    }
    // Before all else after End, the worker removes `ids`.
    void Begin(std::vector<int> ids = {}, int64_t drain_micros = 0) {
      ids.insert(ids.begin(), id_);
      remover_ =
          std::thread([this, ids, drain_micros] { harness_.engine().Remove(ids, drain_micros); });
      held_.wait();
    }
    void End() {
      release_.count_down();
      remover_.join();
    }
    // On the worker.
    void Wait() {
      held_.count_down();
      release_.wait();
    }

   private:
    Harness& harness_;
    const int id_;
    std::latch held_{1};
    std::latch release_{1};
    std::thread remover_;
  };

  explicit Harness(UsualSettings settings = {})
      : workers_(settings.workers), netns_(NewNamespace()) {
    auto created = Engine::Create(settings, *this);
    REQUIRE(created.ok());
    engine_ = std::move(created.value());
  }

  Engine& engine() { return *engine_; }
  int netns() const { return netns_.get(); }

  TargetPtr TargetAt(const Address& address) {
    auto netns = engine_->NetnsFor(netns_.get());
    REQUIRE(netns.ok());
    return std::make_shared<const Target>(Target{netns.value(), address});
  }

  // Adds a forward from a free port of 127.0.0.1; where clients reach it.
  Address Add(int id, Protocol protocol, const Address& target, UsualLimits limits = {}) {
    return AddTo(id, protocol, TargetAt(target), limits);
  }
  Address AddTo(int id, Protocol protocol, TargetPtr target, UsualLimits limits = {}) {
    auto opened = OpenHostSocket(protocol, *Address::Parse("127.0.0.1", 0), false);
    REQUIRE(opened.ok());
    const Address host = LocalAddress(opened.value().get()).value();
    auto socket = std::make_shared<const UniqueFd>(std::move(opened.value()));
    REQUIRE(engine_->Add({{id, protocol, std::move(socket), std::move(target), limits}}).ok());
    return host;
  }

  // Adds it with a free port of 127.0.0.1, or of another address.
  Address Add(ForwardConfig config, const std::string& host_address = "127.0.0.1") {
    auto opened = OpenHostSocket(config.protocol, *Address::Parse(host_address, 0), false);
    REQUIRE(opened.ok());
    const Address host = LocalAddress(opened.value().get()).value();
    config.host_socket = std::make_shared<const UniqueFd>(std::move(opened.value()));
    REQUIRE(engine_->Add({config}).ok());
    return host;
  }

  uint64_t Count(Counter ForwardCounters::*counter) {
    ForwardCounters sum;
    engine_->SumOf(0, sum);
    return (sum.*counter).Get();
  }
  uint64_t OpenSessions() {
    ForwardCounters sum;
    engine_->SumOf(0, sum);
    return sum.SessionsOpen();
  }
  // Keeps the worker of a harness that has only one from everything else while `action` runs. Then,
  // before all else, it removes `ids`.
  void WhileHeld(const std::function<void()>& action, std::vector<int> ids = {},
                 int64_t drain_micros = 0) {
    Hold hold(*this, 0);
    hold.Begin(std::move(ids), drain_micros);
    action();
    hold.End();
  }
  // What OnConnectFailed said of the forward, in order.
  std::vector<ConnectFailure> Failures(int id) {
    const std::lock_guard lock(mutex_);
    return failures_[id];
  }
  // How often OnRemoved came for the id.
  int Removals(int id) {
    const std::lock_guard lock(mutex_);
    return removals_[id];
  }

 private:
  void OnRemoved(int id) override {
    Hold* hold = nullptr;
    {
      const std::lock_guard lock(mutex_);
      ++removals_[id];
      const auto found = holds_.extract(id);
      if (!found.empty()) hold = found.mapped();
    }
    if (hold != nullptr) hold->Wait();
  }

  void OnConnectFailed(int id, const ConnectFailure& failure) override {
    const std::lock_guard lock(mutex_);
    failures_[id].push_back(failure);
  }

  const int workers_;
  UniqueFd netns_;
  std::mutex mutex_;
  std::map<int, int> removals_;
  std::map<int, std::vector<ConnectFailure>> failures_;
  std::map<int, Hold*> holds_;
  // Last: its threads call OnRemoved.
  std::unique_ptr<Engine> engine_;
};

// A connection to `host`; it may still be on its way.
inline UniqueFd ConnectTo(const Address& host) {
  auto client = OpenStreamSocket(host.is_v6());
  if (!client.ok() || !StartConnect(client.value().get(), host).ok()) return UniqueFd();
  return std::move(client.value());
}

inline std::vector<UniqueFd> ConnectMany(const Address& host, size_t count) {
  std::vector<UniqueFd> clients;
  for (size_t i = 0; i < count; ++i)
    clients.push_back(ConnectTo(host));
  return clients;
}

}  // namespace spliceport
