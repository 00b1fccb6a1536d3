#include <doctest/doctest.h>

#include "support/harness.h"
#include "support/udp_ends.h"

namespace spliceport {

TEST_CASE("udp: what the kernel drops at a flow's socket, while the worker is busy, is counted") {
  Harness harness({.workers = 1});
  std::unique_ptr<UdpEnd> server;
  const Address any = *Address::Parse("127.0.0.1", 0);
  InNamespace(harness.netns(), [&] { server = std::make_unique<UdpEnd>(any, false); });
  const Address host = harness.Add(1, Protocol::kUdp, server->address());
  const UdpEnd client(any, false);
  Address flow;
  REQUIRE(client.Send(host, "hello"));
  REQUIRE(Eventually([&] {
    return server->Receive([&](const Address& peer, std::string_view) { flow = peer; }) > 0;
  }));
  // Far more than a socket has room for, and one more when there is room again, which brings the
  // count.
  const std::string block(60'000, 'x');
  size_t sent = 0;
  harness.WhileHeld([&] {
    for (int i = 0; i < 400; ++i)
      sent += server->Send(flow, block) ? 1 : 0;
  });
  size_t arrived = 0;
  const auto receive = [&] {
    const size_t count = client.Receive([](const Address&, std::string_view) {});
    arrived += count;
    return count > 0;
  };
  while (Eventually(receive, std::chrono::milliseconds(300))) {
  }
  REQUIRE(server->Send(flow, "last"));
  ++sent;
  REQUIRE(Eventually(receive));
  CHECK(arrived < sent);
  CHECK(sent ==
        arrived + harness.Count(&ForwardCounters::datagrams_lost_in_kernel) + client.Drops());
}

}  // namespace spliceport
