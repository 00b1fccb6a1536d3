#include "net/udp_batch.h"

#include <doctest/doctest.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <cstring>
#include <vector>

#include "net/socket.h"
#include "support/support.h"

namespace spliceport {

namespace {

struct Ends {
  UniqueFd host;  // As a forward's host socket: unconnected, with packet info.
  Address address;
  UniqueFd flow;  // Connected to it.
};

Ends Connected(const std::string& bind_to = "127.0.0.1", const std::string& send_to = "127.0.0.1") {
  auto host = OpenHostSocket(Protocol::kUdp, *Address::Parse(bind_to, 0), false);
  REQUIRE(host.ok());
  Address address = *Address::Parse(send_to, LocalAddress(host.value().get()).value().port());
  auto flow = OpenConnectedDatagramSocket(address);
  REQUIRE(flow.ok());
  return {std::move(host.value()), address, std::move(flow.value())};
}

// The datagrams that arrive at `fd`, each by itself, until there are `count`.
std::vector<std::string> Datagrams(int fd, size_t count) {
  ReceiveBatch batch;
  std::vector<std::string> datagrams;
  (void)Eventually([&] {
    batch.Clear();
    const int trains = batch.Receive(fd, true);
    for (int i = 0; i < trains; ++i) {
      const std::string bytes(batch[i].bytes.data(), batch[i].bytes.size());
      const size_t segment = batch[i].segment_bytes;
      if (segment == 0) datagrams.push_back(bytes);
      for (size_t at = 0; segment > 0 && at < bytes.size(); at += segment)
        datagrams.push_back(bytes.substr(at, segment));
    }
    return datagrams.size() >= count;
  });
  return datagrams;
}

SendOutcome SendAll(int fd, DatagramRoute& route, const std::vector<std::string>& datagrams) {
  SendBatch batch;
  for (const std::string& datagram : datagrams)
    batch.Add(route, {datagram, 0});
  SendOutcome outcome = batch.Flush(fd);
  CHECK(batch.empty());
  return outcome;
}

std::string Numbered(size_t size, size_t number) {
  return std::string(size, static_cast<char>('a' + number % 26));
}

}  // namespace

TEST_CASE("udp: datagrams keep their boundaries and their order, whatever their sizes") {
  Ends ends = Connected();
  std::vector<std::string> sent;
  for (const size_t size : {1'000, 1'000, 1'000, 999, 1'000, 0, 0, 1, 2, 2, 1, 65'507, 65'507, 3})
    sent.push_back(Numbered(size, sent.size()));
  DatagramRoute route;
  const SendOutcome outcome = SendAll(ends.flow.get(), route, sent);
  CHECK(outcome.datagrams == sent.size());
  CHECK(outcome.dropped == 0);
  CHECK(Datagrams(ends.host.get(), sent.size()) == sent);
}

TEST_CASE("udp: equal datagrams of one flow travel as one train") {
  Ends ends = Connected();
  std::vector<std::string> sent;
  for (size_t i = 0; i < 20; ++i)
    sent.push_back(Numbered(1'000, i));
  DatagramRoute route;
  SendAll(ends.flow.get(), route, sent);
  ReceiveBatch batch;
  REQUIRE(Eventually([&] { return batch.Receive(ends.host.get(), false) > 0; }));
  CHECK(batch.used() == 1);
  CHECK(batch[0].segment_bytes == 1'000);
  CHECK(batch[0].datagrams() == 20);
  CHECK(route.segmentation);
}

TEST_CASE("udp: more datagrams than one train may hold all arrive") {
  Ends ends = Connected();
  std::vector<std::string> sent;
  for (size_t i = 0; i < 300; ++i)
    sent.push_back(Numbered(i < 200 ? 10 : 1'400, i));
  DatagramRoute route;
  CHECK(SendAll(ends.flow.get(), route, sent).datagrams == sent.size());
  CHECK(Datagrams(ends.host.get(), sent.size()) == sent);
}

TEST_CASE("udp: a received train goes on as it came") {
  Ends first = Connected();
  Ends second = Connected();
  std::vector<std::string> sent;
  for (size_t i = 0; i < 30; ++i)
    sent.push_back(Numbered(i < 29 ? 500 : 20, i));
  DatagramRoute route;
  SendAll(first.flow.get(), route, sent);
  ReceiveBatch batch;
  REQUIRE(Eventually([&] { return batch.Receive(first.host.get(), false) > 0; }));
  SendBatch out;
  for (int i = 0; i < batch.used(); ++i)
    out.Add(route, batch[i]);
  CHECK(out.Flush(second.flow.get()).datagrams == 30);
  CHECK(Datagrams(second.host.get(), 30) == sent);
}

TEST_CASE("udp: a route that cannot segment gets its datagrams one by one, each with its prefix") {
  const UniqueFd netns = NewNamespace();
  const std::string prefix = "prefix";
  std::vector<std::string> sent;
  for (size_t i = 0; i < 10; ++i)
    sent.push_back(Numbered(1'400, i));
  std::vector<std::string> received;
  SendOutcome outcome;
  DatagramRoute route{.prefix = prefix};
  InNamespace(netns.get(), [&] {
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    request.ifr_mtu = 1'000;
    const UniqueFd control(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (ioctl(control.get(), SIOCSIFMTU, &request) != 0) return;
    Ends ends = Connected();
    outcome = SendAll(ends.flow.get(), route, sent);
    received = Datagrams(ends.host.get(), sent.size());
  });
  CHECK(outcome.datagrams == 10);
  CHECK(outcome.dropped == 0);
  CHECK_FALSE(route.segmentation);
  for (std::string& datagram : sent)
    datagram.insert(0, prefix);
  CHECK(received == sent);
}

TEST_CASE("udp: a prefix goes ahead of each datagram, of a train too, and is not counted") {
  Ends first = Connected();
  Ends second = Connected();
  std::vector<std::string> sent;
  for (size_t i = 0; i < 60; ++i)
    sent.push_back(Numbered(i < 59 ? 1'000 : 20, i));
  sent.emplace_back();
  DatagramRoute plain;
  SendAll(first.flow.get(), plain, sent);
  ReceiveBatch batch;
  size_t read = 0;
  REQUIRE(Eventually([&] {
    for (int i = batch.Receive(first.host.get(), false); i > 0; --i)
      read += batch[batch.used() - i].datagrams();
    return read == sent.size();
  }));
  REQUIRE(batch[0].datagrams() > 1);
  const std::string prefix(63, '!');
  DatagramRoute route{.prefix = prefix};
  SendBatch out;
  for (int i = 0; i < batch.used(); ++i)
    out.Add(route, batch[i]);
  const SendOutcome outcome = out.Flush(second.flow.get());
  CHECK(outcome.datagrams == sent.size());
  CHECK(outcome.bytes == 59 * 1'000 + 20);
  ReceiveBatch trains;
  REQUIRE(Eventually([&] { return trains.Receive(second.host.get(), false) > 0; }));
  CHECK(trains[0].segment_bytes == 1'063);
  CHECK(trains[0].datagrams() == 60);
  // The empty one.
  REQUIRE(trains.used() > 0);
  for (std::string& datagram : sent)
    datagram.insert(0, prefix);
  SendBatch last;
  for (int i = 0; i < batch.used(); ++i)
    last.Add(route, batch[i]);
  last.Flush(first.flow.get());
  CHECK(Datagrams(first.host.get(), sent.size()) == sent);
}

TEST_CASE("udp: with a prefix that leaves no room a datagram is dropped and counted") {
  Ends ends = Connected();
  DatagramRoute route{.prefix = "prefix"};
  const std::string most(65'507 - 7, 'x');
  const SendOutcome outcome = SendAll(ends.flow.get(), route, {"one", most, most + "xx", "two"});
  CHECK(outcome.dropped == 1);
  CHECK(outcome.datagrams == 3);
}

TEST_CASE("udp: an earlier refusal does not cost the next datagram") {
  Ends ends = Connected();
  ends.host.Reset();
  DatagramRoute route;
  CHECK(SendAll(ends.flow.get(), route, {"lost"}).datagrams == 1);
  auto again = OpenHostSocket(Protocol::kUdp, ends.address, false);
  REQUIRE(again.ok());
  const SendOutcome outcome = SendAll(ends.flow.get(), route, {"one", "three"});
  CHECK(outcome.datagrams == 2);
  CHECK(outcome.dropped == 0);
  CHECK(Datagrams(again.value().get(), 2) == std::vector<std::string>{"one", "three"});
}

TEST_CASE(
    "udp: a batch tells where a datagram came from and was sent to, and an answer leaves there") {
  for (const auto& [bind_to, send_to] :
       {std::pair{"0.0.0.0", "127.0.0.2"}, std::pair{"::", "::1"}, std::pair{"::", "127.0.0.3"}}) {
    Ends ends = Connected(bind_to, send_to);
    DatagramRoute route;
    SendAll(ends.flow.get(), route, {"question"});
    ReceiveBatch batch;
    REQUIRE(Eventually([&] { return batch.Receive(ends.host.get(), false) > 0; }));
    const ReceivedTrain& train = batch[0];
    CHECK(train.local.Unmapped().Text() == send_to);
    CHECK(train.peer.Unmapped() == LocalAddress(ends.flow.get()).value());
    DatagramRoute back{.connected = false, .peer = train.peer, .source = train.local};
    back.interface = train.interface;
    CHECK(SendAll(ends.host.get(), back, {"answer"}).datagrams == 1);
    // A connected socket takes it only from the address that it had sent to.
    CHECK(Datagrams(ends.flow.get(), 1) == std::vector<std::string>{"answer"});
  }
}

TEST_CASE("udp: a datagram that nobody could carry is dropped and counted, and the rest goes on") {
  Ends ends = Connected();
  DatagramRoute route;
  const SendOutcome outcome =
      SendAll(ends.flow.get(), route, {"one", std::string(65'508, 'x'), "three"});
  CHECK(outcome.datagrams == 2);
  CHECK(outcome.dropped == 1);
  CHECK(Datagrams(ends.host.get(), 2) == std::vector<std::string>{"one", "three"});
}

}  // namespace spliceport
