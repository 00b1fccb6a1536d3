// Transparent forwarding on the engine: what the tests with whole networks in test/netns/ cannot
// time.

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <latch>
#include <thread>

#include "routes/rtnetlink.h"
#include "support/harness.h"
#include "support/proxy_support.h"
#include "support/server.h"
#include "support/squatter.h"
#include "support/stays_true.h"

namespace spliceport {

namespace {

// The kernel's own table of what is local.
constexpr uint32_t kLocalTable = 255;

// Gives the caller's namespace an address that is not on its loopback network.
void AddOwnAddress(const Address& address) {
  auto socket = RouteSocket::Open();
  REQUIRE(socket.ok());
  RouteBatch batch;
  batch.Put({address, {}, kLocalTable});
  REQUIRE(socket.value().Commit(batch).ok());
}

// A forward from a free port of `host`; where clients reach it.
Address AddTransparent(Harness& harness, const Address& host, const Address& target) {
  auto opened = OpenHostSocket(Protocol::kTcp, host, false);
  REQUIRE(opened.ok());
  const Address bound = LocalAddress(opened.value().get()).value();
  ForwardConfig config = UsualForward(harness.TargetAt(target));
  config.host_socket = std::make_shared<const UniqueFd>(std::move(opened.value()));
  config.source_address = SourceAddress::kTransparent;
  REQUIRE(harness.engine().Add({config}).ok());
  return bound;
}

UniqueFd ConnectFrom(const Address& client, const Address& host) {
  auto opened = OpenStreamSocket(false);
  REQUIRE(opened.ok());
  REQUIRE(bind(opened.value().get(), client.bytes(), client.size()) == 0);
  REQUIRE(StartConnect(opened.value().get(), host).ok());
  return std::move(opened.value());
}

// Routes to clients in a namespace; none is left without its rule.
size_t RoutesIn(int netns) {
  size_t routes = 0;
  InNamespace(netns, [&] {
    auto socket = RouteSocket::Open();
    REQUIRE(socket.ok());
    auto rules = socket.value().Rules();
    REQUIRE(rules.ok());
    for (const SourceRule& rule : rules.value()) {
      auto of_table = socket.value().Routes(rule.table);
      routes += of_table.ok() ? of_table.value().size() : 0;
    }
  });
  return routes;
}

// Tells the client what address it is seen with.
void TellPeer(int fd) {
  sockaddr_storage bytes{};
  socklen_t size = sizeof(bytes);
  (void)getpeername(fd, reinterpret_cast<sockaddr*>(&bytes), &size);
  (void)SendAll(fd, Address::FromKernel(bytes).Text());
}

}  // namespace

TEST_CASE("tcp: a server that reads late gets all, although both ends have said their last word") {
  const UniqueFd host_netns = NewNamespace();
  InNamespace(host_netns.get(), [] {
    const Address own = *Address::Parse("198.51.100.1", 0);
    AddOwnAddress(own);
    constexpr size_t kBytes = 100'000;
    std::atomic<size_t> got = 0;
    std::atomic<bool> done = false;
    std::latch to_read{1};
    Harness harness({.workers = 1});
    Server server(harness.netns(), [&](int fd) {
      // Its receive window stays full until long after the session has ended.
      const int small = 4'096;
      (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
      ShutdownWrite(fd);
      to_read.wait();
      got = ReadUpTo(fd, kBytes + 1).size();
      done = true;
    });
    const UniqueFd client = ConnectTo(AddTransparent(harness, own, server.address()));
    REQUIRE(SendAll(client.get(), std::string(kBytes, 'x')));
    ShutdownWrite(client.get());
    CHECK(Eventually([&] {
      return harness.Count(&ForwardCounters::sessions_total) == 1 && harness.OpenSessions() == 0;
    }));
    CHECK(StaysTrueFor(std::chrono::milliseconds(2'500),
                       [&] { return harness.OpenSessions() == 0; }));
    to_read.count_down();
    CHECK(Eventually([&] { return done.load(); }, std::chrono::seconds(10)));
    CHECK(got == kBytes);
    CHECK(harness.Count(&ForwardCounters::source_address_fallbacks) == 0);
  });
}

TEST_CASE("tcp: clients are shown as they are beside a process that takes all it can get") {
  const UniqueFd host_netns = NewNamespace();
  InNamespace(host_netns.get(), [] {
    const Address own = *Address::Parse("198.51.100.1", 0);
    AddOwnAddress(own);
    Harness harness({.workers = 1});
    const Squatter squatter(harness.netns());
    Server server(harness.netns(), TellPeer);
    const UniqueFd client = ConnectTo(AddTransparent(harness, own, server.address()));
    CHECK(ReadToEnd(client.get()).bytes == own.Text());
    CHECK(harness.Count(&ForwardCounters::source_address_fallbacks) == 0);
  });
}

TEST_CASE("tcp: who is said to have an address that no host can have is shown as the container") {
  const UniqueFd host_netns = NewNamespace();
  InNamespace(host_netns.get(), [] {
    const Address own = *Address::Parse("198.51.100.1", 0);
    AddOwnAddress(own);
    Harness harness({.workers = 1});
    Server server(harness.netns(), TellPeer);
    ForwardConfig config =
        Believing(harness.TargetAt(server.address()), Protocol::kTcp, own.Text());
    config.source_address = SourceAddress::kTransparent;
    const Address host = harness.Add(config, own.Text());
    const auto seen = [&](const std::string& client) {
      const UniqueFd balancer = ConnectTo(host);
      REQUIRE(SendAll(balancer.get(), HeaderFrom(client)));
      return ReadToEnd(balancer.get()).bytes;
    };
    CHECK(seen("203.0.113.9") == "203.0.113.9");
    CHECK(seen("169.254.1.1") == "169.254.1.1");
    for (const char* odd : {"0.0.0.1", "224.0.0.1", "239.255.255.255", "255.255.255.255"})
      CHECK_MESSAGE(seen(odd) == server.address().Text(), odd);
    CHECK(harness.Count(&ForwardCounters::source_address_fallbacks) == 4);
  });
}

// It comes back to its first worker, where its forward is closed by then and nobody has a timer for
// routes any more.
TEST_CASE("tcp: a session that is between two workers when its forward ends leaves no route") {
  const UniqueFd host_netns = NewNamespace();
  InNamespace(host_netns.get(), [] {
    const Address own = *Address::Parse("198.51.100.1", 0);
    const Address other = *Address::Parse("198.51.100.2", 0);
    AddOwnAddress(own);
    AddOwnAddress(other);
    Harness harness({.workers = 2});
    Server server(harness.netns(), Echo);
    const Address host = AddTransparent(harness, own, server.address());
    const std::array clients{ConnectFrom(own, host), ConnectFrom(other, host)};
    for (const UniqueFd& client : clients)
      REQUIRE((SendAll(client.get(), "ping") && ReadUpTo(client.get(), 4) == "ping"));
    CHECK(RoutesIn(harness.netns()) == 2);
    // The part of the worker that does not accept is gone at once.
    harness.engine().Remove({1}, 60'000'000);
    Harness::Hold hold(harness, 0);
    hold.Begin();
    const std::string bulk(1 << 20, 'x');
    for (const UniqueFd& client : clients)
      CHECK(send(client.get(), bulk.data(), bulk.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0);
    REQUIRE(Eventually([&] { return harness.Count(&ForwardCounters::sessions_moved) == 1; }));
    std::thread remover([&] { harness.engine().Remove({1}, 0); });
    CHECK(Eventually([&] { return RoutesIn(harness.netns()) == 1; }));
    hold.End();
    remover.join();
    CHECK(Eventually([&] { return RoutesIn(harness.netns()) == 0; }));
    CHECK(harness.Removals(1) == 1);
  });
}

}  // namespace spliceport
