#include "udp/udp_flows.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <list>
#include <random>

#include "support/usual.h"
#include "udp/udp_forward.h"

namespace spliceport {

namespace {

Address Client(uint16_t port) { return *Address::Parse("192.0.2.1", port); }

}  // namespace

TEST_CASE("flows are in the order of their last use, as in a list that is kept by hand") {
  auto poll = Epoll::Create();
  REQUIRE(poll.ok());
  Balance balance(1);
  RouteRegistry routes;
  Reactor reactor(std::move(poll.value()), UsualSettings{}, balance, routes, 0);
  ForwardCounters counters;
  UdpForward forward(reactor, UsualForward(nullptr, Protocol::kUdp), counters);
  UdpFlows flows;
  std::list<UdpFlow*> by_use;
  std::mt19937 random(3);
  for (int64_t now = 1; now < 20'000; ++now) {
    const FlowKey key{Client(static_cast<uint16_t>(1 + random() % 50)), Address()};
    const auto known =
        std::ranges::find_if(by_use, [&](const UdpFlow* flow) { return flow->key == key; });
    UdpFlow* found = flows.Find(key);
    REQUIRE((found != nullptr) == (known != by_use.end()));
    if (found == nullptr) {
      by_use.push_back(&flows.Insert(std::make_unique<UdpFlow>(forward, key)));
      continue;
    }
    REQUIRE(found == *known);
    by_use.erase(known);
    if (random() % 4 == 0) {
      CHECK(flows.Remove(*found).get() == found);
    } else {
      flows.Touch(*found, now);
      CHECK(found->used_micros == now);
      by_use.push_back(found);
    }
    REQUIRE(flows.size() == by_use.size());
    const UdpFlow* flow = flows.oldest();
    for (const UdpFlow* expected : by_use) {
      REQUIRE(flow == expected);
      flow = flow->newer;
    }
    REQUIRE(flow == nullptr);
  }
}

TEST_CASE("one client has a flow for each address that it sends to") {
  auto poll = Epoll::Create();
  REQUIRE(poll.ok());
  Balance balance(1);
  RouteRegistry routes;
  Reactor reactor(std::move(poll.value()), UsualSettings{}, balance, routes, 0);
  ForwardCounters counters;
  UdpForward forward(reactor, UsualForward(nullptr, Protocol::kUdp), counters);
  UdpFlows flows;
  const FlowKey one{Client(1), *Address::Parse("192.0.2.10", 0)};
  const FlowKey two{Client(1), *Address::Parse("192.0.2.11", 0)};
  UdpFlow& first = flows.Insert(std::make_unique<UdpFlow>(forward, one));
  CHECK(flows.Find(two) == nullptr);
  UdpFlow& second = flows.Insert(std::make_unique<UdpFlow>(forward, two));
  CHECK(flows.Find(one) == &first);
  CHECK(flows.Find(two) == &second);
  CHECK(flows.oldest() == &first);
}

}  // namespace spliceport
