#include <doctest/doctest.h>
#include <sys/socket.h>

#include <functional>
#include <latch>
#include <memory>
#include <set>
#include <vector>

#include "base/descriptor_budget.h"
#include "engine/worker.h"
#include "support/harness.h"

namespace spliceport {

namespace {

constexpr size_t kMany = 700;
static_assert(kMany > 2 * SessionListing::kPiece);

// A worker alone, with one forward.
class OneWorker : private WorkerPeers {
 public:
  OneWorker(Protocol protocol, const Address& target) : balance_(1) {
    // As engines do.
    REQUIRE(DescriptorBudget::OfProcess().Measure().ok());
    auto started = Worker::Start(0, UsualSettings{.workers = 1}, balance_, routes_, *this);
    REQUIRE(started.ok());
    worker_ = std::move(started.value());
    auto opened = OpenHostSocket(protocol, *Address::Parse("127.0.0.1", 0), false);
    REQUIRE(opened.ok());
    host_ = LocalAddress(opened.value().get()).value();
    ForwardConfig config =
        UsualForward(std::make_shared<const Target>(Target{nullptr, target}), protocol);
    config.host_socket = std::make_shared<const UniqueFd>(std::move(opened.value()));
    Result<void> added;
    Run([&] { added = worker_->Add(config, counters_); });
    REQUIRE(added.ok());
  }

  // Lists sessions as an engine does; `between` is called after each piece but the last.
  std::vector<SessionInfo> List(const std::function<void()>& between) {
    SessionListing listing{.number = ++listings_};
    for (;;) {
      const size_t before = listing.sessions.size();
      Run([&] { worker_->Describe(listing); });
      CHECK(listing.sessions.size() - before <= SessionListing::kPiece);
      if (listing.done) return listing.sessions;
      between();
    }
  }

  const Address& host() const { return host_; }
  uint64_t opened() const { return counters_.sessions_total.Get(); }
  uint64_t closed() const { return counters_.sessions_closed.Get(); }

 private:
  void OnDone(int /*id*/) override {}
  void PostTo(size_t /*worker*/, Task<Worker&> /*task*/) override {}
  void PostToAllBut(size_t /*worker*/, const std::function<void(Worker&)>& /*task*/) override {}

  void Run(const std::function<void()>& task) {
    std::latch done(1);
    worker_->Post([&] {
      task();
      done.count_down();
    });
    done.wait();
  }

  Balance balance_;
  RouteRegistry routes_;
  ForwardCounters counters_;
  Address host_;
  uint32_t listings_ = 0;
  // Last: it uses all above.
  std::unique_ptr<Worker> worker_;
};

// The ports of clients, which differ by nothing else.
std::set<uint16_t> ClientsIn(const std::vector<SessionInfo>& sessions) {
  std::set<uint16_t> clients;
  for (const SessionInfo& session : sessions)
    clients.insert(session.client.port());
  // Each is there once.
  CHECK(clients.size() == sessions.size());
  return clients;
}

uint16_t PortOf(const UniqueFd& client) { return LocalAddress(client.get()).value().port(); }

}  // namespace

TEST_CASE(
    "session listing: it is made in pieces, and has each session that lasts, once, though others "
    "end") {
  auto server = OpenHostSocket(Protocol::kTcp, *Address::Parse("127.0.0.1", 0), false);
  REQUIRE(server.ok());
  OneWorker worker(Protocol::kTcp, LocalAddress(server.value().get()).value());
  std::vector<UniqueFd> clients;
  // Fewer at a time than a queue holds.
  while (clients.size() < kMany) {
    for (UniqueFd& client : ConnectMany(worker.host(), 100))
      clients.push_back(std::move(client));
    REQUIRE(Eventually([&] { return worker.opened() == clients.size(); }));
  }
  size_t pieces = 1;
  const auto sessions = worker.List([&] {
    ++pieces;
    // Old ones and new ones, whose places are taken by the last.
    for (size_t i = 0; i < 40; ++i) {
      const size_t at = i % 2 == 0 ? 0 : clients.size() / 2;
      ResetOnClose(clients[at].get());
      clients.erase(clients.begin() + static_cast<ptrdiff_t>(at));
    }
    REQUIRE(Eventually([&] { return worker.opened() - worker.closed() == clients.size(); }));
  });
  CHECK(pieces >= 3);
  const auto listed = ClientsIn(sessions);
  for (const UniqueFd& client : clients)
    CHECK(listed.contains(PortOf(client)));
  // The next one knows nothing of this.
  CHECK(worker.List([] {}).size() == clients.size());
}

TEST_CASE("session listing: flows that are used, and that begin meanwhile, leave none out") {
  OneWorker worker(Protocol::kUdp, *Address::Parse("127.0.0.1", 1));
  std::vector<UniqueFd> clients;
  const auto begin = [&](size_t count) {
    for (size_t i = 0; i < count; ++i) {
      auto client = OpenConnectedDatagramSocket(worker.host());
      REQUIRE(client.ok());
      clients.push_back(std::move(client.value()));
      // Again and again: the queue may be full of what the others have sent.
      REQUIRE(Eventually([&] {
        (void)send(clients.back().get(), "x", 1, 0);
        return worker.opened() == clients.size();
      }));
    }
  };
  begin(kMany);
  size_t pieces = 1;
  const auto sessions = worker.List([&] {
    // The table grows, and all flows change their order.
    if (++pieces == 3) begin(kMany);
    for (const UniqueFd& client : clients)
      (void)send(client.get(), "x", 1, 0);
  });
  CHECK(pieces >= 3);
  const auto listed = ClientsIn(sessions);
  for (size_t i = 0; i < kMany; ++i)
    CHECK(listed.contains(PortOf(clients[i])));
  CHECK(worker.List([] {}).size() == clients.size());
}

}  // namespace spliceport
