#include "udp/udp_forward.h"

#include <doctest/doctest.h>
#include <poll.h>

#include <utility>

#include "support/harness.h"
#include "support/udp_echo.h"
#include "support/udp_ends.h"

namespace spliceport {

namespace {

// The answer to one datagram; "-" when none comes.
std::string Ask(const UniqueFd& client, const std::string& question, int patience_millis = 5'000) {
  if (send(client.get(), question.data(), question.size(), 0) < 0) return "-";
  pollfd poller{client.get(), POLLIN, 0};
  if (poll(&poller, 1, patience_millis) <= 0) return "-";
  std::vector<char> buffer(64 << 10);
  const ssize_t size = recv(client.get(), buffer.data(), buffer.size(), 0);
  return size < 0 ? "-" : std::string(buffer.data(), static_cast<size_t>(size));
}

UniqueFd ServerIn(int netns) {
  UniqueFd server;
  InNamespace(netns, [&] {
    auto opened = OpenHostSocket(Protocol::kUdp, *Address::Parse("127.0.0.1", 0), false);
    REQUIRE(opened.ok());
    server = std::move(opened.value());
  });
  return server;
}

// What has come to a socket that takes trains whole.
struct Arrivals {
  size_t datagrams = 0;
  size_t trains = 0;
  Address peer;
};

Arrivals ArrivalsAt(const UniqueFd& fd, size_t expected) {
  Arrivals arrivals;
  ReceiveBatch batch;
  (void)Eventually([&] {
    batch.Clear();
    for (int i = 0, count = batch.Receive(fd.get(), false); i < count; ++i) {
      arrivals.datagrams += batch[i].datagrams();
      ++arrivals.trains;
      arrivals.peer = batch[i].peer;
    }
    return arrivals.datagrams >= expected;
  });
  return arrivals;
}

}  // namespace

TEST_CASE("udp: datagrams of every size are answered whole, the empty one included") {
  Harness harness;
  UdpEcho server(harness.netns());
  const UniqueFd client = ClientOf(harness.Add(1, Protocol::kUdp, server.address()));
  for (const size_t size : {0, 1, 1'400, 9'000, 65'507})
    CHECK(Ask(client, std::string(size, 'u')).size() == size);
  CHECK(harness.Count(&ForwardCounters::sessions_total) == 1);
  CHECK(harness.Count(&ForwardCounters::datagrams_to_container) == 5);
  CHECK(Eventually([&] { return harness.Count(&ForwardCounters::datagrams_to_host) == 5; }));
}

TEST_CASE("udp: each client has its own flow and gets its own answers") {
  Harness harness;
  UdpEcho server(harness.netns());
  const Address host = harness.Add(1, Protocol::kUdp, server.address());
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 20; ++i)
    clients.push_back(ClientOf(host));
  for (int round = 0; round < 3; ++round) {
    for (size_t i = 0; i < clients.size(); ++i)
      CHECK(Ask(clients[i], std::to_string(i)) == std::to_string(i));
  }
  CHECK(harness.OpenSessions() == 20);
  CHECK(harness.engine().Sessions().size() == 20);
}

TEST_CASE("udp: a flow ends when it was not used for its timeout, and a used one does not") {
  Harness harness;
  UdpEcho server(harness.netns());
  const Address host =
      harness.Add(1, Protocol::kUdp, server.address(), UsualLimits{.udp_timeout_micros = 300'000});
  const UniqueFd busy = ClientOf(host);
  const UniqueFd idle = ClientOf(host);
  REQUIRE(Ask(idle, "x") == "x");
  const int64_t end = NowMicros() + 600'000;
  while (NowMicros() < end) {
    REQUIRE(Ask(busy, "y") == "y");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  CHECK(harness.OpenSessions() == 1);
  CHECK(harness.Count(&ForwardCounters::sessions_total) == 2);
  CHECK(Eventually([&] { return harness.OpenSessions() == 0; }));
  CHECK(Ask(idle, "again") == "again");
}

TEST_CASE("udp: one flow too many ends the one that was used least recently") {
  Harness harness;
  UdpEcho server(harness.netns());
  const Address host =
      harness.Add(1, Protocol::kUdp, server.address(), UsualLimits{.max_flows = 2});
  const UniqueFd first = ClientOf(host);
  const UniqueFd second = ClientOf(host);
  const UniqueFd third = ClientOf(host);
  REQUIRE(Ask(first, "1") == "1");
  REQUIRE(Ask(second, "2") == "2");
  REQUIRE(Ask(first, "1") == "1");
  REQUIRE(Ask(third, "3") == "3");
  CHECK(harness.Count(&ForwardCounters::flows_evicted) == 1);
  std::vector<Address> clients;
  for (const SessionInfo& session : harness.engine().Sessions())
    clients.push_back(session.client);
  REQUIRE(clients.size() == 2);
  // In any order.
  if (clients[0] != LocalAddress(first.get()).value()) std::swap(clients[0], clients[1]);
  CHECK(clients ==
        std::vector{LocalAddress(first.get()).value(), LocalAddress(third.get()).value()});
}

TEST_CASE("udp: a container that refuses ends no flow, and is heard as soon as it is there") {
  Harness harness;
  uint16_t port = 0;
  {
    const UdpEcho placeholder(harness.netns());
    port = placeholder.address().port();
  }
  const Address target = *Address::Parse("127.0.0.1", port);
  const UniqueFd client = ClientOf(harness.Add(1, Protocol::kUdp, target));
  for (int i = 0; i < 3; ++i)
    CHECK(Ask(client, "anybody?", 20) == "-");
  UdpEcho server(harness.netns(), port);
  CHECK(Ask(client, "now") == "now");
  CHECK(harness.Count(&ForwardCounters::sessions_total) == 1);
}

TEST_CASE("udp: a new target is in force for the next datagram of a live flow") {
  Harness harness;
  UdpEcho one(harness.netns());
  const Address host = harness.Add(1, Protocol::kUdp, one.address());
  const UniqueFd client = ClientOf(host);
  REQUIRE(Ask(client, "x") == "x");
  UdpEcho two(harness.netns());
  harness.engine().Retarget({{1, harness.TargetAt(two.address())}});
  CHECK(Ask(client, "y") == "y");
  const auto sessions = harness.engine().Sessions();
  REQUIRE(sessions.size() == 1);
  CHECK(sessions[0].target == two.address());
}

TEST_CASE("udp: runs of datagrams pass the kernel as one, or one by one where that is set") {
  constexpr size_t kCount = 20;
  const std::vector<std::string> sent(kCount, std::string(1'000, 's'));
  const std::vector<std::string_view> run(sent.begin(), sent.end());
  for (const bool together : {true, false}) {
    Harness harness;
    const UniqueFd server = ServerIn(harness.netns());
    const UdpEnd client(*Address::Parse("127.0.0.1", 0), true);
    const UsualLimits limits{.udp_segmentation = together};
    const Address host = harness.Add(1, Protocol::kUdp, LocalAddress(server.get()).value(), limits);
    REQUIRE(client.SendTrain(host, run));
    const Arrivals there = ArrivalsAt(server, kCount);
    CHECK(there.datagrams == kCount);
    CHECK(there.trains == (together ? 1 : kCount));

    DatagramRoute back{.connected = false, .peer = there.peer};
    SendBatch out;
    for (const std::string_view bytes : run)
      out.Add(back, {bytes, 0});
    REQUIRE(out.Flush(server.get()).datagrams == kCount);
    const Arrivals here = ArrivalsAt(UniqueFd(dup(client.fd())), kCount);
    CHECK(here.datagrams == kCount);
    CHECK(here.trains == (together ? 1 : kCount));
  }
}

TEST_CASE("udp: a removed forward frees its port and its descriptors at once") {
  Harness harness({.workers = 1});
  UdpEcho server(harness.netns());
  {
    const UniqueFd warm_up = ClientOf(harness.Add(1, Protocol::kUdp, server.address()));
    REQUIRE(Ask(warm_up, "x") == "x");
  }
  harness.engine().Remove({1}, 0);
  const int before = OpenDescriptors();
  {
    const Address host = harness.Add(2, Protocol::kUdp, server.address());
    std::vector<UniqueFd> clients;
    for (int i = 0; i < 10; ++i) {
      clients.push_back(ClientOf(host));
      REQUIRE(Ask(clients.back(), "x") == "x");
    }
    harness.engine().Remove({2}, 60'000'000);
    CHECK(OpenHostSocket(Protocol::kUdp, host, false).ok());
  }
  CHECK(Eventually([&] { return OpenDescriptors() == before; }));
  CHECK(Eventually([&] { return harness.Removals(2) == 1; }));
}

TEST_CASE("udp: a burst from many clients loses nothing that the kernel did not drop") {
  Harness harness;
  UdpEcho server(harness.netns());
  const Address host = harness.Add(1, Protocol::kUdp, server.address());
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 8; ++i)
    clients.push_back(ClientOf(host));
  const std::string datagram(200, 'b');
  for (int round = 0; round < 50; ++round) {
    for (const UniqueFd& client : clients)
      REQUIRE(send(client.get(), datagram.data(), datagram.size(), 0) == 200);
  }
  const auto accounted = [&] {
    return harness.Count(&ForwardCounters::datagrams_to_container) +
           harness.Count(&ForwardCounters::datagrams_dropped) +
           harness.Count(&ForwardCounters::datagrams_lost_in_kernel);
  };
  CHECK(Eventually([&] { return accounted() >= 400; }));
  CHECK(accounted() == 400);
  CHECK(harness.Count(&ForwardCounters::datagrams_dropped) == 0);
}

}  // namespace spliceport
