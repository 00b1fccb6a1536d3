#include <doctest/doctest.h>

#include <set>

#include "support/harness.h"
#include "support/proxy_support.h"
#include "support/udp_echo.h"

namespace spliceport {

namespace {

// The datagrams that arrive, each by itself.
std::vector<std::string> Arrivals(int fd, size_t count) {
  std::vector<std::string> datagrams;
  ReceiveBatch batch;
  (void)Eventually([&] {
    batch.Clear();
    for (int i = batch.Receive(fd, true) - 1; i >= 0; --i) {
      const ReceivedTrain& train = batch[batch.used() - 1 - i];
      const std::string bytes(train.bytes.data(), train.bytes.size());
      const size_t segment = train.segment_bytes == 0 ? bytes.size() : train.segment_bytes;
      if (bytes.empty()) datagrams.emplace_back();
      for (size_t at = 0; at < bytes.size(); at += segment)
        datagrams.push_back(bytes.substr(at, segment));
    }
    return datagrams.size() >= count;
  });
  return datagrams;
}

SendOutcome SendDatagrams(int fd, const std::vector<std::string>& datagrams) {
  SendBatch batch;
  DatagramRoute route;
  for (const std::string& datagram : datagrams)
    batch.Add(route, {datagram, 0});
  return batch.Flush(fd);
}

}  // namespace

TEST_CASE("udp: each datagram has the header, of a train too, and replies come as they are") {
  Harness harness;
  UdpEcho server(harness.netns());
  const Address host = harness.Add(
      Writing(SourceAddress::kProxyV2, harness.TargetAt(server.address()), Protocol::kUdp));
  const UniqueFd client = ClientOf(host);
  std::vector<std::string> sent;
  for (size_t i = 0; i < 30; ++i)
    sent.push_back(std::string(i < 29 ? 1'200 : 7, static_cast<char>('a' + i)));
  sent.emplace_back();
  CHECK(SendDatagrams(client.get(), sent).datagrams == sent.size());
  const auto mirrored = Arrivals(client.get(), sent.size());
  REQUIRE(mirrored.size() == sent.size());
  std::string unique_id;
  for (size_t i = 0; i < sent.size(); ++i) {
    const Introduced introduced = Split(mirrored[i], Protocol::kUdp);
    CHECK(introduced.ends.client == LocalAddress(client.get()).value());
    CHECK(introduced.ends.destination == host);
    CHECK(introduced.rest == sent[i]);
    if (i == 0) unique_id = introduced.unique_id;
    CHECK(introduced.unique_id == unique_id);
  }
  CHECK(unique_id.size() == 16);
  CHECK(harness.Count(&ForwardCounters::bytes_to_container) == 29 * 1'200 + 7);
}

TEST_CASE("udp: a datagram that has no room for the header is dropped and counted") {
  Harness harness;
  UdpEcho server(harness.netns());
  const Address host = harness.Add(
      Writing(SourceAddress::kProxyV2, harness.TargetAt(server.address()), Protocol::kUdp));
  const UniqueFd client = ClientOf(host);
  // 16 bytes, 12 for the ends, 19 for the id.
  SendDatagrams(client.get(), {std::string(65'507 - 46, 'x'), "fits"});
  CHECK(Split(Arrivals(client.get(), 1).at(0), Protocol::kUdp).rest == "fits");
  CHECK(harness.Count(&ForwardCounters::datagrams_dropped) == 1);
  SendDatagrams(client.get(), {std::string(65'507 - 47, 'x')});
  CHECK(Arrivals(client.get(), 1).at(0).size() == 65'507);
}

TEST_CASE("udp: a target that changes under a flow is told of the client as well") {
  Harness harness;
  UdpEcho first(harness.netns());
  UdpEcho second(harness.netns());
  const Address host = harness.Add(
      Writing(SourceAddress::kProxyV2, harness.TargetAt(first.address()), Protocol::kUdp));
  const UniqueFd client = ClientOf(host);
  SendDatagrams(client.get(), {"one"});
  CHECK(Split(Arrivals(client.get(), 1).at(0), Protocol::kUdp).rest == "one");
  harness.engine().Retarget({{1, harness.TargetAt(second.address())}});
  SendDatagrams(client.get(), {"two"});
  CHECK(Split(Arrivals(client.get(), 1).at(0), Protocol::kUdp).rest == "two");
}

TEST_CASE("udp: clients behind one socket of a load balancer have a flow each, and its replies") {
  Harness harness;
  UdpEcho server(harness.netns());
  const Address host = harness.Add(Believing(harness.TargetAt(server.address()), Protocol::kUdp));
  const UniqueFd balancer = ClientOf(host);
  std::vector<std::string> sent;
  for (size_t i = 0; i < 20; ++i) {
    // Equal sizes: they come as one train.
    const std::string client = "203.0.113." + std::to_string(1 + i % 2);
    sent.push_back(HeaderFrom(client, ProxyVersion::k2, Protocol::kUdp) +
                   std::string(100, static_cast<char>('a' + i)));
  }
  SendDatagrams(balancer.get(), sent);
  const auto mirrored = Arrivals(balancer.get(), sent.size());
  CHECK(std::multiset(mirrored.begin(), mirrored.end()) == std::multiset(sent.begin(), sent.end()));
  const auto sessions = harness.engine().Sessions();
  REQUIRE(sessions.size() == 2);
  CHECK(std::set{sessions[0].client.Text(), sessions[1].client.Text()} ==
        std::set<std::string>{"203.0.113.1", "203.0.113.2"});
  CHECK(harness.Count(&ForwardCounters::bytes_to_container) == 20 * 100);
}

TEST_CASE("udp: a datagram without a right header, or of a stranger, is dropped and counted") {
  Harness harness;
  UdpEcho server(harness.netns());
  ForwardConfig config = Believing(harness.TargetAt(server.address()), Protocol::kUdp);
  const Address host = harness.Add(config);
  config.id = 2;
  config.trusted_proxies = Believing(nullptr, Protocol::kUdp, "10.0.0.0/8").trusted_proxies;
  const Address closed = harness.Add(config);
  const std::string header = HeaderFrom("203.0.113.9", ProxyVersion::k2, Protocol::kUdp);
  SendDatagrams(ClientOf(closed).get(), {header, header});
  const UniqueFd balancer = ClientOf(host);
  SendDatagrams(balancer.get(), {"", "GET /", header.substr(0, 20), HeaderFrom("203.0.113.9"),
                                 "PROXY TCP4 1.2.3.4 1.2.3.5 1 2\r\n", header + "right"});
  CHECK(Split(Arrivals(balancer.get(), 1).at(0), Protocol::kUdp).rest == "right");
  CHECK(harness.Count(&ForwardCounters::proxy_headers_malformed) == 5);
  CHECK(Eventually([&] { return harness.Count(&ForwardCounters::proxy_sources_untrusted) == 2; }));
}

}  // namespace spliceport
