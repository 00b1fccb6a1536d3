#include "engine/engine.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>

#include <atomic>
#include <random>

#include "support/harness.h"
#include "support/processor_time.h"
#include "support/server.h"

namespace spliceport {

namespace {

bool Ping(const UniqueFd& client) {
  return SendAll(client.get(), "ping") && ReadUpTo(client.get(), 4) == "ping";
}

bool PortIsFree(const Address& address) {
  return OpenHostSocket(Protocol::kTcp, address, false).ok();
}

}  // namespace

TEST_CASE("a removed forward frees its port before Remove returns, and ends its sessions") {
  Harness harness;
  Server server(harness.netns(), Echo);
  const Address host = harness.Add(7, Protocol::kTcp, server.address());
  const UniqueFd client = ConnectTo(host);
  REQUIRE(Ping(client));
  harness.engine().Remove({7}, 0);
  CHECK(PortIsFree(host));
  CHECK(harness.OpenSessions() == 0);
  CHECK(Eventually([&] { return harness.Removals(7) == 1; }));
  CHECK_FALSE(harness.engine().Has(7));
  CHECK_FALSE(Ping(client));
}

TEST_CASE("a draining forward frees its port, and its session goes on until its end") {
  Harness harness;
  Server server(harness.netns(), Echo);
  const Address host = harness.Add(7, Protocol::kTcp, server.address());
  UniqueFd client = ConnectTo(host);
  REQUIRE(Ping(client));
  harness.engine().Remove({7}, 60'000'000);
  CHECK(PortIsFree(host));
  CHECK(Ping(client));
  CHECK(harness.Removals(7) == 0);
  client.Reset();
  CHECK(Eventually([&] { return harness.Removals(7) == 1; }));
}

TEST_CASE("a drain ends with its time") {
  Harness harness;
  Server server(harness.netns(), Echo);
  const Address host = harness.Add(7, Protocol::kTcp, server.address());
  const UniqueFd client = ConnectTo(host);
  REQUIRE(Ping(client));
  harness.engine().Remove({7}, 50'000);
  CHECK(Eventually([&] { return harness.Removals(7) == 1; }));
  CHECK_FALSE(Ping(client));
}

TEST_CASE("an Add that fails on one worker leaves nothing: no session, no event, no record") {
  for (int round = 0; round < 20; ++round) {
    Harness harness;
    Server server(harness.netns(), Echo);
    auto opened = OpenHostSocket(Protocol::kTcp, *Address::Parse("127.0.0.1", 0), false);
    REQUIRE(opened.ok());
    const Address host = LocalAddress(opened.value().get()).value();
    const UniqueFd client = ConnectTo(host);
    const auto listener = std::make_shared<const UniqueFd>(std::move(opened.value()));
    // No epoll takes a plain file.
    const auto file = std::make_shared<const UniqueFd>(open("/proc/self/exe", O_RDONLY));
    const TargetPtr target = harness.TargetAt(server.address());
    const auto added = harness.engine().Add({{8, Protocol::kTcp, listener, target, UsualLimits()},
                                             {9, Protocol::kUdp, file, target, UsualLimits()}});
    CHECK_FALSE(added.ok());
    CHECK(Eventually([&] { return !harness.engine().Has(8) && !harness.engine().Has(9); }));
    CHECK(harness.OpenSessions() == 0);
    CHECK(harness.Removals(8) + harness.Removals(9) == 0);
  }
}

TEST_CASE("no session is open where more ends than beginnings were read") {
  ForwardCounters counters;
  counters.sessions_closed.Add(2);
  CHECK(counters.SessionsOpen() == 0);
  counters.sessions_total.Add(5);
  CHECK(counters.SessionsOpen() == 3);
}

TEST_CASE("the counters of one forward are its own alone") {
  Harness harness;
  Server server(harness.netns(), Echo);
  const UniqueFd client = ConnectTo(harness.Add(7, Protocol::kTcp, server.address()));
  harness.Add(8, Protocol::kTcp, server.address());
  REQUIRE(Ping(client));
  const auto opened = [&](int id) {
    ForwardCounters sum;
    harness.engine().Sum(id, sum);
    return sum.sessions_total.Get();
  };
  CHECK(opened(7) == 1);
  CHECK(opened(8) == 0);
  CHECK(opened(9) == 0);
}

TEST_CASE(
    "an owner's counters are those of all its forwards, removed ones too, until it is forgotten") {
  Harness harness;
  Server server(harness.netns(), Echo);
  const auto add = [&](int id, int owner) {
    ForwardConfig config = UsualForward(harness.TargetAt(server.address()));
    config.id = id;
    config.owner = owner;
    return harness.Add(std::move(config));
  };
  const auto opened = [&](int owner) {
    ForwardCounters sum;
    harness.engine().SumOf(owner, sum);
    return sum.sessions_total.Get();
  };
  for (const Address& host : {add(1, 5), add(2, 5), add(3, 6)}) {
    const UniqueFd client = ConnectTo(host);
    REQUIRE(Ping(client));
  }
  harness.engine().Remove({1}, 0);
  CHECK(opened(5) == 2);
  CHECK(opened(6) == 1);
  CHECK(opened(7) == 0);
  harness.engine().Remove({2, 3}, 0);
  harness.engine().ForgetOwner(5);
  CHECK(opened(5) == 0);
  CHECK(opened(6) == 1);
}

// Whoever asks for each of many forwards, as for metrics, holds up the thread that asks.
TEST_CASE("the counters of one forward cost the same beside many forwards") {
  Harness harness({.workers = 1});
  const auto micros_per_sum = [&] {
    constexpr int kTimes = 50'000;
    const int64_t begun = ProcessorMicros();
    for (int i = 0; i < kTimes; ++i) {
      ForwardCounters sum;
      harness.engine().Sum(1, sum);
    }
    return static_cast<double>(ProcessorMicros() - begun) / kTimes;
  };
  const Address target = *Address::Parse("127.0.0.1", 1);
  harness.Add(1, Protocol::kUdp, target);
  const double alone = micros_per_sum();
  for (int id = 2; id <= 500; ++id)
    harness.Add(id, Protocol::kUdp, target);
  CHECK(micros_per_sum() < 20 * alone);
}

TEST_CASE("removing a forward again, or one that never was, is nothing") {
  Harness harness;
  Server server(harness.netns(), Echo);
  harness.Add(7, Protocol::kTcp, server.address());
  harness.engine().Remove({7, 7, 8}, 0);
  harness.engine().Remove({7}, 1'000);
  CHECK(Eventually([&] { return harness.Removals(7) == 1; }));
  CHECK(harness.Removals(8) == 0);
}

TEST_CASE("a new target is in force when Retarget returns, and old sessions keep theirs") {
  Harness harness;
  const auto greeter = [](const char* text) {
    return [text](int fd) {
      SendAll(fd, text);
      ReadToEnd(fd);
    };
  };
  Server one(harness.netns(), greeter("one"));
  Server two(harness.netns(), greeter("two"));
  const Address host = harness.Add(1, Protocol::kTcp, one.address());
  const UniqueFd before = ConnectTo(host);
  REQUIRE(ReadUpTo(before.get(), 3) == "one");
  harness.engine().Retarget({{1, harness.TargetAt(two.address())}});
  for (int i = 0; i < 10; ++i) {
    const UniqueFd after = ConnectTo(host);
    CHECK(ReadUpTo(after.get(), 3) == "two");
  }
  CHECK(harness.engine().Sessions().size() >= 1);
  CHECK(harness.Count(&ForwardCounters::sessions_reset) == 0);
}

TEST_CASE("sessions are told with client, target and bytes") {
  Harness harness;
  Server server(harness.netns(), Echo);
  const Address host = harness.Add(3, Protocol::kTcp, server.address());
  const UniqueFd client = ConnectTo(host);
  REQUIRE(Ping(client));
  const auto sessions = harness.engine().Sessions();
  REQUIRE(sessions.size() == 1);
  CHECK(sessions[0].forward_id == 3);
  CHECK(sessions[0].state == SessionState::kOpen);
  CHECK(sessions[0].client == LocalAddress(client.get()).value());
  CHECK(sessions[0].target == server.address());
  CHECK(sessions[0].bytes_to_container == 4);
  CHECK(sessions[0].bytes_to_host == 4);
  CHECK(sessions[0].age_micros >= 0);
}

TEST_CASE("an add that fails leaves nothing behind") {
  Harness harness;
  const Address target = *Address::Parse("127.0.0.1", 1);
  auto good = OpenHostSocket(Protocol::kTcp, *Address::Parse("127.0.0.1", 0), false);
  REQUIRE(good.ok());
  const Address host = LocalAddress(good.value().get()).value();
  const TargetPtr shared = harness.TargetAt(target);
  // A file cannot be watched by epoll.
  auto file = std::make_shared<const UniqueFd>(open("/proc/self/status", O_RDONLY | O_CLOEXEC));
  const auto added = harness.engine().Add(
      {{1, Protocol::kTcp, std::make_shared<const UniqueFd>(std::move(good.value())), shared,
        UsualLimits()},
       {2, Protocol::kTcp, file, shared, UsualLimits()}});
  REQUIRE_FALSE(added.ok());
  CHECK(std::string(added.error().syscall) == "epoll_ctl");
  CHECK_FALSE(harness.engine().Has(1));
  CHECK_FALSE(harness.engine().Has(2));
  CHECK(PortIsFree(host));
  CHECK(harness.Removals(1) == 0);
}

TEST_CASE("closing the engine with sessions open leaves no descriptor and no thread") {
  const int before = OpenDescriptors();
  {
    Harness harness;
    Server server(harness.netns(), Echo);
    const Address host = harness.Add(1, Protocol::kTcp, server.address());
    std::vector<UniqueFd> clients;
    for (int i = 0; i < 50; ++i) {
      clients.push_back(ConnectTo(host));
      if (i % 2 == 0) REQUIRE(Ping(clients.back()));
    }
    harness.engine().Close();
    harness.engine().Close();
    clients.clear();
  }
  CHECK(OpenDescriptors() == before);
}

TEST_CASE("one engine serves forwards into many namespaces") {
  Harness first;
  std::vector<std::unique_ptr<Harness>> others;
  std::vector<std::unique_ptr<Server>> servers;
  std::vector<Address> hosts;
  for (int id = 1; id <= 8; ++id) {
    others.push_back(std::make_unique<Harness>(UsualSettings{.workers = 1}));
    const int netns = others.back()->netns();
    servers.push_back(
        std::make_unique<Server>(netns, [id](int fd) { SendAll(fd, std::to_string(id)); }));
    auto socket = OpenHostSocket(Protocol::kTcp, *Address::Parse("127.0.0.1", 0), false);
    hosts.push_back(LocalAddress(socket.value().get()).value());
    auto entered = first.engine().NetnsFor(netns);
    REQUIRE(entered.ok());
    auto target =
        std::make_shared<const Target>(Target{entered.value(), servers.back()->address()});
    REQUIRE(
        first.engine()
            .Add({{id, Protocol::kTcp, std::make_shared<const UniqueFd>(std::move(socket.value())),
                   target, UsualLimits()}})
            .ok());
  }
  for (int round = 0; round < 3; ++round) {
    for (size_t i = 0; i < hosts.size(); ++i) {
      const UniqueFd client = ConnectTo(hosts[i]);
      CHECK(ReadUpTo(client.get(), 1) == std::to_string(i + 1));
    }
  }
}

TEST_CASE("without descriptors the listener pauses, and serves everybody once there are some") {
  Harness harness;
  Server server(harness.netns(), Echo);
  const Address host = harness.Add(1, Protocol::kTcp, server.address());
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 8; ++i)
    clients.push_back(UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  const rlimit tight{static_cast<rlim_t>(clients.back().get()) + 1, limit.rlim_max};
  // Fill the holes below the limit, so that not one descriptor is left.
  REQUIRE(setrlimit(RLIMIT_NOFILE, &tight) == 0);
  std::vector<UniqueFd> fillers;
  for (;;) {
    UniqueFd filler(dup(0));
    if (!filler.valid()) break;
    fillers.push_back(std::move(filler));
  }
  for (const UniqueFd& client : clients)
    REQUIRE(connect(client.get(), host.bytes(), host.size()) == 0);
  const bool paused =
      Eventually([&] { return harness.Count(&ForwardCounters::accept_pauses) > 0; });
  setrlimit(RLIMIT_NOFILE, &limit);
  CHECK(paused);
  for (const UniqueFd& client : clients)
    CHECK(Ping(client));
}

// The point of this one is ThreadSanitizer: everything that may overlap does.
TEST_CASE("adding, retargeting, removing and asking go on while clients come and go") {
  Harness harness({.workers = 3});
  Server one(harness.netns(), Echo);
  Server two(harness.netns(), Echo);
  const Address host = harness.Add(1, Protocol::kTcp, one.address());
  std::atomic<bool> stop = false;
  std::atomic<int> served = 0;
  std::atomic<int> lost = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back([&] {
      while (!stop) {
        const UniqueFd client = ConnectTo(host);
        ++(Ping(client) ? served : lost);
      }
    });
  }
  for (int id = 2; id < 42; ++id) {
    harness.Add(id, id % 2 == 0 ? Protocol::kTcp : Protocol::kUdp, two.address());
    harness.engine().Retarget({{1, harness.TargetAt(id % 2 == 0 ? one.address() : two.address())}});
    harness.Count(&ForwardCounters::bytes_to_host);
    harness.engine().Sessions();
    harness.engine().Remove({id}, id % 3 == 0 ? 1'000 : 0);
  }
  stop = true;
  for (auto& client : clients)
    client.join();
  CHECK(served > 0);
  CHECK(lost == 0);
  for (int id = 2; id < 42; ++id)
    CHECK(Eventually([&] { return harness.Removals(id) == 1; }));
  harness.engine().Remove({1}, 0);
}

}  // namespace spliceport
