// A read stops at the urgent mark, however much there is behind it (tcp(7)), so a short read does
// not mean that the socket is empty. The urgent byte itself is out of the stream for whoever does
// not ask for it, and is not passed on.

#include <doctest/doctest.h>

#include "support/harness.h"
#include "support/server.h"

namespace spliceport {

namespace {

bool SendUrgent(int fd) { return send(fd, "!", 1, MSG_OOB) == 1; }

}  // namespace

TEST_CASE("tcp: what comes behind an urgent byte is not kept waiting") {
  Harness harness({.workers = 1});
  Server server(harness.netns(), AnswerLate);
  const UniqueFd client = ConnectTo(harness.Add(1, Protocol::kTcp, server.address()));
  REQUIRE(SendAll(client.get(), "bef"));
  REQUIRE(Eventually([&] { return harness.Count(&ForwardCounters::bytes_to_container) == 3; }));
  // One event for all of it.
  harness.WhileHeld([&] {
    REQUIRE(SendAll(client.get(), "ore"));
    REQUIRE(SendUrgent(client.get()));
    REQUIRE(SendAll(client.get(), "after"));
  });
  CHECK(Eventually([&] { return harness.Count(&ForwardCounters::bytes_to_container) == 11; }));
  ShutdownWrite(client.get());
  CHECK(ReadToEnd(client.get()).bytes == "beforeafter");
}

TEST_CASE("tcp: an urgent byte in bulk does not end it") {
  Harness harness;
  Server server(harness.netns(), AnswerLate);
  const Address host = harness.Add(1, Protocol::kTcp, server.address());
  const std::string block(400'000, 'x');
  for (int i = 0; i < 20; ++i) {
    const UniqueFd client = ConnectTo(host);
    REQUIRE(SendAll(client.get(), block));
    REQUIRE(SendUrgent(client.get()));
    REQUIRE(SendAll(client.get(), block));
    ShutdownWrite(client.get());
    const Ending ending = ReadToEnd(client.get());
    CHECK(ending.error == 0);
    CHECK(ending.bytes.size() == 2 * block.size());
  }
}

}  // namespace spliceport
