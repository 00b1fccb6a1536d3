#include <doctest/doctest.h>

#include "support/harness.h"
#include "support/server.h"
#include "support/udp_ends.h"

namespace spliceport {

namespace {

const Address kAny = *Address::Parse("127.0.0.1", 0);

struct Given {
  std::vector<std::string> allow;
  std::vector<std::string> deny;
  int64_t max_sessions = 0;
  int64_t max_sessions_per_second = 0;
  int64_t max_sessions_per_client = 0;
};

CidrList ListOf(const std::vector<std::string>& texts) {
  std::vector<Cidr> blocks;
  for (const std::string& text : texts)
    blocks.push_back(*Cidr::Parse(text));
  return CidrList(blocks);
}

ForwardConfig Limited(TargetPtr target, const Given& given, Protocol protocol = Protocol::kTcp) {
  ForwardConfig config = UsualForward(std::move(target), protocol);
  AdmissionRules rules{ListOf(given.allow), ListOf(given.deny), given.max_sessions,
                       given.max_sessions_per_second, given.max_sessions_per_client};
  config.admission =
      std::make_shared<Admission>(std::make_shared<const AdmissionRules>(std::move(rules)));
  return config;
}

// From an address of this machine.
UniqueFd ConnectFrom(const Address& source, const Address& host) {
  auto client = OpenStreamSocket(host.is_v6());
  REQUIRE(client.ok());
  REQUIRE(bind(client.value().get(), source.bytes(), source.size()) == 0);
  REQUIRE(StartConnect(client.value().get(), host).ok());
  return std::move(client.value());
}

UniqueFd OpenSession(const Address& host, const Address& source = kAny) {
  UniqueFd client = ConnectFrom(source, host);
  REQUIRE(SendAll(client.get(), "x"));
  REQUIRE(ReadUpTo(client.get(), 1) == "x");
  return client;
}

bool IsReset(const UniqueFd& client) { return ReadToEnd(client.get()).error == ECONNRESET; }

}  // namespace

TEST_CASE("tcp: one more than there may be is reset, whichever worker it comes to") {
  Harness harness({.workers = 4});
  Server server(harness.netns(), Echo);
  const Address host =
      harness.Add(Limited(harness.TargetAt(server.address()), {.max_sessions = 8}));
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 8; ++i)
    clients.push_back(OpenSession(host));
  for (int i = 0; i < 16; ++i)
    CHECK(IsReset(ConnectTo(host)));
  CHECK(harness.Count(&ForwardCounters::sessions_over_limit) == 16);
  CHECK(harness.Count(&ForwardCounters::sessions_total) == 8);
  clients.erase(clients.begin(), clients.begin() + 3);
  CHECK(Eventually([&] { return harness.OpenSessions() == 5; }));
  for (int i = 0; i < 3; ++i)
    clients.push_back(OpenSession(host));
  CHECK(IsReset(ConnectTo(host)));
}

TEST_CASE("tcp: a session whose target is not there gives its places back") {
  Harness harness({.workers = 1});
  const Address host = harness.Add(Limited(harness.TargetAt(*Address::Parse("127.0.0.1", 1)),
                                           {.max_sessions = 1, .max_sessions_per_client = 1}));
  for (int i = 0; i < 3; ++i)
    CHECK(IsReset(ConnectTo(host)));
  CHECK(harness.Count(&ForwardCounters::connect_failures) == 3);
  CHECK(harness.Count(&ForwardCounters::sessions_over_limit) == 0);
  CHECK(harness.Count(&ForwardCounters::sessions_over_client_limit) == 0);
}

TEST_CASE("tcp: one client does not get the places of another") {
  Harness harness({.workers = 4});
  Server server(harness.netns(), Echo);
  const Address host = harness.Add(Limited(harness.TargetAt(server.address()),
                                           {.max_sessions = 5, .max_sessions_per_client = 3}));
  std::vector<UniqueFd> greedy;
  for (int i = 0; i < 3; ++i)
    greedy.push_back(OpenSession(host));
  for (int i = 0; i < 9; ++i)
    CHECK(IsReset(ConnectTo(host)));
  CHECK(harness.Count(&ForwardCounters::sessions_over_client_limit) == 9);
  const Address other = *Address::Parse("127.0.0.2", 0);
  std::vector<UniqueFd> others;
  for (int i = 0; i < 2; ++i)
    others.push_back(OpenSession(host, other));
  // Who is over the limit of all takes none of its own places.
  CHECK(IsReset(ConnectFrom(other, host)));
  CHECK(harness.Count(&ForwardCounters::sessions_over_limit) == 1);
  greedy.pop_back();
  CHECK(Eventually([&] { return harness.OpenSessions() == 4; }));
  others.push_back(OpenSession(host, other));
}

TEST_CASE("tcp: a client is judged by its address") {
  Harness harness;
  Server server(harness.netns(), Echo);
  const auto target = harness.TargetAt(server.address());
  const Address denied = harness.Add(Limited(target, {.deny = {"127.0.0.0/8"}}));
  CHECK(IsReset(ConnectTo(denied)));
  CHECK(harness.Count(&ForwardCounters::sessions_denied) == 1);
  CHECK(harness.Count(&ForwardCounters::sessions_total) == 0);
  ForwardConfig other = Limited(target, {.allow = {"127.0.0.1"}, .deny = {"10.0.0.0/8"}});
  other.id = 2;
  CHECK(OpenSession(harness.Add(other)).valid());
}

TEST_CASE("tcp: who comes faster than is allowed is reset") {
  Harness harness;
  Server server(harness.netns(), Echo);
  const Address host =
      harness.Add(Limited(harness.TargetAt(server.address()), {.max_sessions_per_second = 2}));
  const int64_t began = NowMicros();
  constexpr int kClients = 20;
  const std::vector<UniqueFd> clients = ConnectMany(host, kClients);
  CHECK(Eventually([&] {
    return harness.Count(&ForwardCounters::sessions_total) +
               harness.Count(&ForwardCounters::sessions_over_rate) ==
           kClients;
  }));
  const auto most = static_cast<uint64_t>(2 + 2 * (NowMicros() - began) / 1'000'000 + 1);
  CHECK(harness.Count(&ForwardCounters::sessions_total) >= 2);
  CHECK(harness.Count(&ForwardCounters::sessions_total) <= most);
}

TEST_CASE("tcp: behind a load balancer it is the client whom the header names that is judged") {
  Harness harness;
  Server server(harness.netns(), Echo);
  ForwardConfig config = Limited(harness.TargetAt(server.address()), {.deny = {"203.0.113.0/24"}});
  config.trusted_proxies =
      std::make_shared<const TrustedProxies>(TrustedProxies{ListOf({"127.0.0.1"}), 3'000'000});
  const Address host = harness.Add(config);
  const auto answer = [&](const std::string& client) {
    const UniqueFd balancer = ConnectTo(host);
    const ProxyEnds ends{*Address::Parse(client, 1), *Address::Parse("192.0.2.80", 443)};
    const std::string header = WriteProxyHeader(ProxyVersion::k2, Protocol::kTcp, {ends, ""});
    REQUIRE(SendAll(balancer.get(), header + "hi"));
    ShutdownWrite(balancer.get());
    return ReadToEnd(balancer.get());
  };
  CHECK(answer("203.0.113.7").error == ECONNRESET);
  CHECK(harness.Count(&ForwardCounters::sessions_denied) == 1);
  CHECK(answer("203.0.114.7").bytes == "hi");
}

TEST_CASE("tcp: behind a load balancer each client has places of its own") {
  Harness harness;
  Server server(harness.netns(), Echo);
  ForwardConfig config =
      Limited(harness.TargetAt(server.address()), {.max_sessions_per_client = 1});
  config.trusted_proxies =
      std::make_shared<const TrustedProxies>(TrustedProxies{ListOf({"127.0.0.1"}), 3'000'000});
  const Address host = harness.Add(config);
  const auto open = [&](const std::string& client) {
    UniqueFd balancer = ConnectTo(host);
    const ProxyEnds ends{*Address::Parse(client, 1), *Address::Parse("192.0.2.80", 443)};
    const std::string header = WriteProxyHeader(ProxyVersion::k2, Protocol::kTcp, {ends, ""});
    REQUIRE(SendAll(balancer.get(), header + "x"));
    return balancer;
  };
  UniqueFd first = open("203.0.113.7");
  CHECK(ReadUpTo(first.get(), 1) == "x");
  const UniqueFd second = open("203.0.113.8");
  CHECK(ReadUpTo(second.get(), 1) == "x");
  CHECK(IsReset(open("203.0.113.7")));
  CHECK(harness.Count(&ForwardCounters::sessions_over_client_limit) == 1);
  first.Reset();
  CHECK(Eventually([&] { return harness.OpenSessions() == 1; }));
  const UniqueFd third = open("203.0.113.7");
  CHECK(ReadUpTo(third.get(), 1) == "x");
}

TEST_CASE("udp: a flow too many, or of the wrong client, is dropped and counted by datagrams") {
  Harness harness;
  std::unique_ptr<UdpEnd> server;
  InNamespace(harness.netns(), [&] { server = std::make_unique<UdpEnd>(kAny, false); });
  const auto target = harness.TargetAt(server->address());
  const Address host = harness.Add(Limited(target, {.max_sessions = 1}, Protocol::kUdp));
  std::vector<std::string> arrived;
  const auto next = [&](size_t count) {
    return Eventually([&] {
      server->Receive([&](const Address&, std::string_view bytes) { arrived.emplace_back(bytes); });
      return arrived.size() >= count;
    });
  };
  const UdpEnd first(kAny, false);
  const UdpEnd second(kAny, false);
  REQUIRE(first.Send(host, "one"));
  REQUIRE(next(1));
  for (int i = 0; i < 3; ++i)
    REQUIRE(second.Send(host, "no"));
  CHECK(Eventually([&] { return harness.Count(&ForwardCounters::sessions_over_limit) == 3; }));
  REQUIRE(first.Send(host, "two"));
  REQUIRE(next(2));
  CHECK(arrived == std::vector<std::string>{"one", "two"});
  CHECK(harness.Count(&ForwardCounters::datagrams_dropped) == 0);

  ForwardConfig denying = Limited(target, {.deny = {"127.0.0.1"}}, Protocol::kUdp);
  denying.id = 2;
  REQUIRE(first.Send(harness.Add(denying), "no"));
  CHECK(Eventually([&] { return harness.Count(&ForwardCounters::sessions_denied) == 1; }));
  CHECK(harness.OpenSessions() == 1);
}

TEST_CASE("udp: a flow that ends gives its places back") {
  Harness harness;
  std::unique_ptr<UdpEnd> server;
  InNamespace(harness.netns(), [&] { server = std::make_unique<UdpEnd>(kAny, false); });
  ForwardConfig config = Limited(harness.TargetAt(server->address()),
                                 {.max_sessions = 1, .max_sessions_per_client = 1}, Protocol::kUdp);
  config.limits.udp_timeout_micros = 50'000;
  const Address host = harness.Add(config);
  for (int i = 0; i < 3; ++i) {
    const UdpEnd client(kAny, false);
    REQUIRE(client.Send(host, "x"));
    CHECK(Eventually([&] {
      return harness.Count(&ForwardCounters::sessions_total) == static_cast<uint64_t>(i + 1);
    }));
    CHECK(Eventually([&] { return harness.OpenSessions() == 0; }));
  }
  CHECK(harness.Count(&ForwardCounters::sessions_over_limit) == 0);
  CHECK(harness.Count(&ForwardCounters::sessions_over_client_limit) == 0);
}

TEST_CASE("udp: one client does not get the places of another") {
  Harness harness;
  std::unique_ptr<UdpEnd> server;
  InNamespace(harness.netns(), [&] { server = std::make_unique<UdpEnd>(kAny, false); });
  const Address host = harness.Add(
      Limited(harness.TargetAt(server->address()), {.max_sessions_per_client = 2}, Protocol::kUdp));
  std::vector<std::unique_ptr<UdpEnd>> greedy;
  for (int i = 0; i < 5; ++i) {
    greedy.push_back(std::make_unique<UdpEnd>(kAny, false));
    REQUIRE(greedy.back()->Send(host, "x"));
  }
  CHECK(
      Eventually([&] { return harness.Count(&ForwardCounters::sessions_over_client_limit) == 3; }));
  const UdpEnd other(*Address::Parse("127.0.0.2", 0), false);
  REQUIRE(other.Send(host, "x"));
  CHECK(Eventually([&] { return harness.Count(&ForwardCounters::sessions_total) == 3; }));
  CHECK(harness.Count(&ForwardCounters::sessions_over_client_limit) == 3);
}

}  // namespace spliceport
