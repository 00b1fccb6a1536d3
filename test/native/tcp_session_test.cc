#include "tcp/tcp_session.h"

#include <doctest/doctest.h>

#include "support/harness.h"
#include "support/server.h"
#include "support/stays_true.h"

namespace spliceport {

namespace {

// Bytes that repeat only after a prime number of them, so that a lost or doubled piece shows.
std::string Pattern(size_t size) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i)
    text[i] = static_cast<char>(i % 251);
  return text;
}

// Sends all of it and a FIN while it reads what comes back.
Ending Exchange(const Address& host, const std::string& request) {
  const UniqueFd client = ConnectTo(host);
  std::thread sender([&] {
    SendAll(client.get(), request);
    ShutdownWrite(client.get());
  });
  Ending reply = ReadToEnd(client.get());
  sender.join();
  return reply;
}

}  // namespace

TEST_CASE("tcp: bytes come back exact, for every size from nothing to bulk") {
  Harness harness;
  Server server(harness.netns(), Echo);
  const Address host = harness.Add(1, Protocol::kTcp, server.address());
  for (const size_t size : {0UL, 1UL, 1'000UL, 100'000UL, 16UL << 20}) {
    const std::string request = Pattern(size);
    const Ending reply = Exchange(host, request);
    CHECK(reply.error == 0);
    CHECK_MESSAGE(reply.bytes == request, size);
  }
  CHECK(harness.Count(&ForwardCounters::sessions_total) == 5);
  CHECK(Eventually([&] { return harness.OpenSessions() == 0; }));
  CHECK(harness.Count(&ForwardCounters::bytes_to_container) ==
        harness.Count(&ForwardCounters::bytes_to_host));
}

TEST_CASE("tcp: a FIN from the client reaches the server, and the answer still comes back") {
  Harness harness;
  Server server(harness.netns(), AnswerLate);
  const Address host = harness.Add(1, Protocol::kTcp, server.address());
  const std::string request = Pattern(3 << 20);
  const Ending reply = Exchange(host, request);
  CHECK(reply.error == 0);
  CHECK(reply.bytes == request);
}

TEST_CASE("tcp: a RST from the server comes after its data, as a RST") {
  Harness harness;
  Server server(harness.netns(), [](int fd) {
    SendAll(fd, Pattern(100'000));
    (void)Eventually([&] { return UnacknowledgedBytes(fd) == 0; });
    ResetOnClose(fd);
  });
  const Address host = harness.Add(1, Protocol::kTcp, server.address());
  const UniqueFd client = ConnectTo(host);
  const Ending reply = ReadToEnd(client.get());
  CHECK(reply.error == ECONNRESET);
  CHECK(reply.bytes == Pattern(100'000));
  CHECK(Eventually([&] { return harness.Count(&ForwardCounters::sessions_reset) == 1; }));
}

TEST_CASE("tcp: a RST from the client reaches the server") {
  Harness harness;
  std::atomic<int> error = 0;
  std::atomic<bool> serves = false;
  {
    Server server(harness.netns(), [&](int fd) {
      serves = true;
      error = ReadToEnd(fd).error;
    });
    const Address host = harness.Add(1, Protocol::kTcp, server.address());
    UniqueFd client = ConnectTo(host);
    REQUIRE(SendAll(client.get(), "x"));
    REQUIRE(Eventually(
        [&] { return serves.load() && harness.Count(&ForwardCounters::bytes_to_container) == 1; }));
    ResetOnClose(client.get());
    client.Reset();
  }
  CHECK(error == ECONNRESET);
}

TEST_CASE("tcp: a container that refuses is tried again, then the client is reset") {
  Harness harness;
  const Address nobody = *Address::Parse("127.0.0.1", 1);
  const Address host = harness.Add(1, Protocol::kTcp, nobody);
  const int64_t started = NowMicros();
  const UniqueFd client = ConnectTo(host);
  CHECK(ReadToEnd(client.get()).error == ECONNRESET);
  const int64_t took = NowMicros() - started;
  CHECK(took > 150'000);
  CHECK(took < 1'000'000);
  CHECK(harness.Count(&ForwardCounters::connect_failures) == 1);
  CHECK(harness.Count(&ForwardCounters::connect_retries) >= 9);
  CHECK(harness.Count(&ForwardCounters::connect_timeouts) == 0);
}

TEST_CASE("tcp: a reader that is slow stops the sender, and loses nothing") {
  Harness harness;
  const std::string sent = Pattern(32 << 20);
  Server server(harness.netns(), [&](int fd) {
    SendAll(fd, sent);
    ShutdownWrite(fd);
  });
  const Address host = harness.Add(1, Protocol::kTcp, server.address());
  const UniqueFd client = ConnectTo(host);
  const auto relayed = [&] { return harness.Count(&ForwardCounters::bytes_to_host); };
  CHECK(ComesToRest(relayed));
  CHECK(relayed() < sent.size());
  CHECK(ReadToEnd(client.get()).bytes == sent);
}

TEST_CASE("tcp: an idle session holds two descriptors") {
  Harness harness({.workers = 1});
  Server server(harness.netns(), Echo);
  const Address host = harness.Add(1, Protocol::kTcp, server.address());
  const auto ask = [&](const UniqueFd& client) {
    return SendAll(client.get(), "ping") && ReadUpTo(client.get(), 4) == "ping";
  };
  const UniqueFd first = ConnectTo(host);
  REQUIRE(ask(first));
  const int before = OpenDescriptors();
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(ConnectTo(host));
    REQUIRE(ask(clients.back()));
  }
  // The client's and the server's own, and the session's two.
  CHECK(OpenDescriptors() == before + 20 * 4);
}

}  // namespace spliceport
