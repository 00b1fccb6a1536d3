// What an engine reports when clients of a forward cannot be connected to their server.

#include <cerrno>

#include "support/harness.h"
#include "support/udp_ends.h"

namespace spliceport {

namespace {

// A client whose session fails to connect.
void Fail(Harness& harness, const Address& host) {
  const uint64_t before = harness.Count(&ForwardCounters::connect_failures);
  const UniqueFd client = ConnectTo(host);
  REQUIRE(
      Eventually([&] { return harness.Count(&ForwardCounters::connect_failures) == before + 1; }));
}

// A listener, which nobody needs to accept from to be connected to it.
UniqueFd ListenIn(int netns, const Address& address) {
  UniqueFd listener;
  InNamespace(netns, [&] {
    auto opened = OpenHostSocket(Protocol::kTcp, address, false);
    REQUIRE(opened.ok());
    listener = std::move(opened.value());
  });
  return listener;
}

}  // namespace

TEST_CASE("the first failure of a forward is reported, and the next after a client was connected") {
  Harness harness;
  UniqueFd listener = ListenIn(harness.netns(), *Address::Parse("127.0.0.1", 0));
  const Address server = LocalAddress(listener.get()).value();
  listener.Reset();
  const Address host = harness.Add(1, Protocol::kTcp, server);
  harness.Add(2, Protocol::kTcp, server);
  Fail(harness, host);
  Fail(harness, host);
  REQUIRE(harness.Failures(1).size() == 1);
  CHECK(harness.Failures(1)[0].ending == SessionEnding::kConnectFailed);
  CHECK(harness.Failures(1)[0].error == ECONNREFUSED);
  CHECK(harness.Failures(2).empty());
  listener = ListenIn(harness.netns(), server);
  {
    const UniqueFd client = ConnectTo(host);
    REQUIRE(Eventually([&] { return harness.Count(&ForwardCounters::connect_micros) > 0; }));
  }
  listener.Reset();
  Fail(harness, host);
  Fail(harness, host);
  CHECK(harness.Failures(1).size() == 2);
}

TEST_CASE("the first failure after a retarget is reported") {
  Harness harness;
  const Address host = harness.Add(1, Protocol::kTcp, *Address::Parse("127.0.0.1", 9));
  Fail(harness, host);
  harness.engine().Retarget({{1, harness.TargetAt(*Address::Parse("127.0.0.2", 9))}});
  Fail(harness, host);
  Fail(harness, host);
  CHECK(harness.Failures(1).size() == 2);
}

TEST_CASE("a UDP flow that cannot begin is reported once, until one begins") {
  Harness harness;
  const Address away = *Address::Parse("192.0.2.1", 9);
  const Address host = harness.Add(1, Protocol::kUdp, away);
  const UdpEnd client(*Address::Parse("127.0.0.1", 0), false);
  const auto fail = [&] {
    const uint64_t before = harness.Count(&ForwardCounters::datagrams_dropped);
    REQUIRE(client.Send(host, "x"));
    REQUIRE(Eventually(
        [&] { return harness.Count(&ForwardCounters::datagrams_dropped) == before + 1; }));
  };
  fail();
  fail();
  REQUIRE(harness.Failures(1).size() == 1);
  CHECK(harness.Failures(1)[0].error == ENETUNREACH);
}

}  // namespace spliceport
