// Clients that wait for a server which refuses or cannot be reached (waitForServerMs).

#include <doctest/doctest.h>

#include "support/harness.h"
#include "support/server.h"

namespace spliceport {

namespace {

constexpr int64_t kLong = 60'000'000;

// A port of the namespace at which nobody listens.
Address Unused(int netns) {
  Address address;
  InNamespace(netns, [&] {
    auto opened = OpenHostSocket(Protocol::kTcp, *Address::Parse("127.0.0.1", 0), false);
    address = LocalAddress(opened.value().get()).value();
  });
  return address;
}

// A harness with a client that waits.
struct Waiting {
  explicit Waiting(UsualLimits limits = {.wait_for_server_micros = kLong})
      : target(Unused(harness.netns())), host(harness.Add(1, Protocol::kTcp, target, limits)) {}
  UniqueFd Client(const std::string& words) const {
    UniqueFd client = ConnectTo(host);
    if (!words.empty()) REQUIRE(SendAll(client.get(), words));
    return client;
  }
  void UntilWaiting(uint64_t count = 1) {
    REQUIRE(Eventually([&] { return harness.Count(&ForwardCounters::server_waits) == count; }));
  }
  bool IsOver() {
    return Eventually([&] { return harness.OpenSessions() == 0; });
  }

  Harness harness{{.workers = 1}};
  Address target;
  Address host;
};

}  // namespace

TEST_CASE("tcp: a client waits for a server that starts late, which gets what it has sent") {
  Waiting waiting;
  const UniqueFd whole = waiting.Client("all of it");
  ShutdownWrite(whole.get());
  const UniqueFd open = waiting.Client("ping");
  waiting.UntilWaiting(2);
  Server server(waiting.harness.netns(), Echo, waiting.target.port());
  const Ending ending = ReadToEnd(whole.get());
  CHECK(ending.bytes == "all of it");
  CHECK(ending.error == 0);
  CHECK(ReadUpTo(open.get(), 4) == "ping");
  // Also after the wait, both directions work, and the end is noticed.
  REQUIRE(SendAll(open.get(), "more"));
  CHECK(ReadUpTo(open.get(), 4) == "more");
  ShutdownWrite(open.get());
  CHECK(ReadToEnd(open.get()).error == 0);
  CHECK(waiting.IsOver());
  CHECK(waiting.harness.Count(&ForwardCounters::connect_failures) == 0);
}

TEST_CASE("tcp: a client that waits connects at once to a new target") {
  Waiting waiting;
  const UniqueFd client = waiting.Client("ping");
  waiting.UntilWaiting();
  Server server(waiting.harness.netns(), Echo);
  waiting.harness.engine().Retarget({{1, waiting.harness.TargetAt(server.address())}});
  CHECK(ReadUpTo(client.get(), 4) == "ping");
}

TEST_CASE("tcp: a wait ends with a reset when its time is over, after few attempts") {
  Waiting waiting({.wait_for_server_micros = 1'200'000});
  const int64_t started = NowMicros();
  const UniqueFd client = waiting.Client("ping");
  CHECK(ReadToEnd(client.get()).error == ECONNRESET);
  CHECK(NowMicros() - started >= 1'200'000);
  CHECK(NowMicros() - started < 3'000'000);
  CHECK(waiting.harness.Count(&ForwardCounters::connect_failures) == 1);
  CHECK(waiting.harness.Count(&ForwardCounters::connect_timeouts) == 0);
  // Ten in the first quarter of a second.
  CHECK(waiting.harness.Count(&ForwardCounters::connect_retries) < 35);
  CHECK(Eventually([&] { return waiting.harness.Failures(1).size() == 1; }));
  CHECK(waiting.harness.Failures(1).at(0).ending == SessionEnding::kConnectFailed);
  CHECK(waiting.harness.Failures(1).at(0).error == ECONNREFUSED);
}

TEST_CASE("tcp: a client that leaves while it waits is forgotten at once") {
  Waiting waiting;
  UniqueFd silent = waiting.Client("");
  waiting.UntilWaiting(1);
  silent.Reset();
  CHECK(waiting.IsOver());
  CHECK(waiting.harness.Count(&ForwardCounters::sessions_reset) == 0);
  UniqueFd resetting = waiting.Client("ping");
  waiting.UntilWaiting(2);
  ResetOnClose(resetting.get());
  resetting.Reset();
  CHECK(waiting.IsOver());
  CHECK(waiting.harness.Count(&ForwardCounters::sessions_reset) == 1);
  CHECK(waiting.harness.Count(&ForwardCounters::connect_failures) == 0);
}

TEST_CASE("tcp: a client that waits is reset at once when its forward is removed") {
  Waiting waiting;
  const UniqueFd client = waiting.Client("ping");
  waiting.UntilWaiting();
  waiting.harness.engine().Remove({1}, 0);
  CHECK(ReadToEnd(client.get()).error == ECONNRESET);
  CHECK(Eventually([&] { return waiting.harness.Removals(1) == 1; }));
}

}  // namespace spliceport
