// Transparent forwarding on the engine: what the tests with whole networks in test/netns/ cannot time.

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>

#include "harness.h"
#include "server.h"

namespace spliceport {

namespace {

// Gives the caller's namespace an address that is not on its loopback network.
bool HasOwnAddress() {
  return system("ip address replace 198.51.100.1/32 dev lo >/dev/null 2>&1") == 0;
}

}  // namespace

TEST_CASE("tcp: a server that reads late gets all, although both ends have said their last word") {
  const UniqueFd host_netns = NewNamespace();
  InNamespace(host_netns.get(), [] {
    if (!HasOwnAddress()) {
      MESSAGE("skipped: ip is missing: apt-get install iproute2");
      return;
    }
    constexpr size_t kBytes = 100'000;
    std::atomic<size_t> got = 0;
    std::atomic<bool> done = false;
    Harness harness({.workers = 1});
    Server server(harness.netns(), [&](int fd) {
      // Its receive window stays full until long after the session has ended.
      const int small = 4'096;
      (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
      ShutdownWrite(fd);
      std::this_thread::sleep_for(std::chrono::milliseconds(2'500));
      got = ReadUpTo(fd, kBytes + 1).size();
      done = true;
    });
    auto opened = OpenHostSocket(Protocol::kTcp, *Address::Parse("198.51.100.1", 0), false);
    REQUIRE(opened.ok());
    const Address host = LocalAddress(opened.value().get()).value();
    ForwardConfig config;
    config.id = 1;
    config.host_socket = std::make_shared<const UniqueFd>(std::move(opened.value()));
    config.target = harness.TargetAt(server.address());
    config.source_address = SourceAddress::kTransparent;
    REQUIRE(harness.engine().Add({config}).ok());
    const UniqueFd client = ConnectTo(host);
    REQUIRE(SendAll(client.get(), std::string(kBytes, 'x')));
    ShutdownWrite(client.get());
    CHECK(Eventually([&] { return harness.OpenSessions() == 0; }));
    CHECK_FALSE(done);
    CHECK(Eventually([&] { return done.load(); }, std::chrono::seconds(10)));
    CHECK(got == kBytes);
    CHECK(harness.Count(&ForwardCounters::source_address_fallbacks) == 0);
  });
}

}  // namespace spliceport
