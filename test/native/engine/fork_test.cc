// Until a forked process has executed its program, it holds a copy of every descriptor,
// close-on-exec or not. A socket that is closed meanwhile lives on in the epoll set, and so do its
// events.

#include <doctest/doctest.h>

#include "support/child.h"
#include "support/harness.h"
#include "support/processor_time.h"
#include "support/server.h"

namespace spliceport {

TEST_CASE(
    "a session that ended hears nothing more, also while a forked process holds its sockets") {
  Harness harness({.workers = 1});
  Server server(harness.netns(), Echo);
  const Address host = harness.Add(1, Protocol::kTcp, server.address());
  harness.Add(2, Protocol::kTcp, server.address());
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(ConnectTo(host));
    REQUIRE(SendAll(clients.back().get(), "ping"));
    REQUIRE(ReadUpTo(clients.back().get(), 4) == "ping");
  }
  const ForkedHolder holder;
  harness.engine().Remove({1}, 0);
  for (const UniqueFd& client : clients)
    (void)Send(client.get(), std::string("more"));
  clients.clear();
  // The worker has had their events before it answers.
  CHECK(harness.engine().Sessions().empty());
}

TEST_CASE("a flow that ended hears nothing more, also while a forked process holds its socket") {
  Harness harness({.workers = 1});
  UniqueFd server;
  InNamespace(harness.netns(), [&] {
    auto opened = OpenHostSocket(Protocol::kUdp, *Address::Parse("127.0.0.1", 0), false);
    if (opened.ok()) server = std::move(opened.value());
  });
  const Address target = LocalAddress(server.get()).value();
  const Address host = harness.Add(1, Protocol::kUdp, target, {.udp_timeout_micros = 200'000});
  auto client = OpenConnectedDatagramSocket(host);
  REQUIRE(client.ok());
  REQUIRE(send(client.value().get(), "x", 1, 0) == 1);
  sockaddr_storage flow{};
  socklen_t size = sizeof(flow);
  char byte = 0;
  REQUIRE(Eventually([&] {
    return recvfrom(server.get(), &byte, 1, 0, reinterpret_cast<sockaddr*>(&flow), &size) == 1;
  }));
  const ForkedHolder holder;
  CHECK(Eventually([&] { return harness.OpenSessions() == 0; }));
  REQUIRE(sendto(server.get(), "y", 1, 0, reinterpret_cast<sockaddr*>(&flow), size) == 1);
  CHECK(harness.engine().Sessions().empty());
  CHECK(ProcessorMicrosOfOneSecond() < 200'000);
}

}  // namespace spliceport
