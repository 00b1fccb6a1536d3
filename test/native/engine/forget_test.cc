// What an Add that fails on one worker leaves behind on the others.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <thread>

#include "support/harness.h"
#include "support/server.h"

namespace spliceport {

namespace {

constexpr int kTcp = 2;
constexpr int kRefused = 4;

bool Ping(const UniqueFd& client) {
  return SendAll(client.get(), "ping") && ReadUpTo(client.get(), 4) == "ping";
}

// A client that was cut off, read or not.
bool HasLostAddress(const UniqueFd& client) {
  pollfd wanted{client.get(), POLLRDHUP, 0};
  return poll(&wanted, 1, 0) == 1;
}

}  // namespace

// Which worker does what, and in which order, is told by holding them: worker 2 accepts, worker 1
// refuses, and worker 0 keeps the Add from failing for as long as sessions take to move.
TEST_CASE(
    "a session that is between two workers when its forward's Add fails is counted to its end") {
  Harness harness({.workers = 3});
  Server server(harness.netns(), Echo);
  const TargetPtr target = harness.TargetAt(server.address());
  auto opened = OpenHostSocket(Protocol::kTcp, *Address::Parse("127.0.0.1", 0), false);
  REQUIRE(opened.ok());
  const Address host = LocalAddress(opened.value().get()).value();
  const auto listener = std::make_shared<const UniqueFd>(std::move(opened.value()));
  // No epoll takes a plain file.
  const auto file = std::make_shared<const UniqueFd>(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  std::array<Harness::Hold, 3> holds{Harness::Hold(harness, 0), Harness::Hold(harness, 1),
                                     Harness::Hold(harness, 2)};
  holds[0].Begin();
  std::thread adder([&] {
    CHECK_FALSE(harness.engine()
                    .Add({{kRefused, Protocol::kUdp, file, target, UsualLimits()},
                          {kTcp, Protocol::kTcp, listener, target, UsualLimits()}})
                    .ok());
  });
  const std::vector<UniqueFd> clients = ConnectMany(host, 3);
  for (const UniqueFd& client : clients)
    REQUIRE(Ping(client));
  holds[1].Begin();
  // One stays, and one leaves for each of the other workers.
  const std::string bulk(1 << 20, 'x');
  for (const UniqueFd& client : clients)
    CHECK(send(client.get(), bulk.data(), bulk.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0);
  REQUIRE(Eventually([&] { return harness.Count(&ForwardCounters::sessions_moved) == 2; }));
  holds[0].End();
  // The one that stayed is cut off, so the worker that accepts has forgotten the forward, but for
  // the session on its way.
  REQUIRE(Eventually([&] { return std::ranges::any_of(clients, HasLostAddress); }));
  holds[2].Begin();
  holds[1].End();
  adder.join();
  holds[2].End();
  CHECK(Eventually([&] { return !harness.engine().Has(kTcp); }));
  CHECK(harness.Count(&ForwardCounters::sessions_total) == 3);
  CHECK(harness.Count(&ForwardCounters::sessions_closed) == 3);
  CHECK(harness.Removals(kTcp) + harness.Removals(kRefused) == 0);
}

}  // namespace spliceport
