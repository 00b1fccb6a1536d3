#include <doctest/doctest.h>
#include <fcntl.h>

#include <array>
#include <atomic>

#include "support/harness.h"
#include "support/proxy_support.h"
#include "support/server.h"

namespace spliceport {

namespace {

std::string ReadUntilSplit(int fd, size_t behind) {
  std::string bytes;
  for (size_t header = SIZE_MAX; header == SIZE_MAX || bytes.size() < header + behind;) {
    const std::string more = ReadUpTo(fd, 1);
    if (more.empty()) break;
    bytes += more;
    const ProxyReading reading = ReadProxyHeader(bytes, Protocol::kTcp);
    if (reading.verdict == ProxyVerdict::kWhole) header = reading.size;
  }
  return bytes;
}

// How a server that echoes sees bytes and a FIN.
Ending Ask(const Address& host, const std::string& request) {
  const UniqueFd client = ConnectTo(host);
  SendAll(client.get(), request);
  ShutdownWrite(client.get());
  return ReadToEnd(client.get());
}

void SleepMillis(int millis) { std::this_thread::sleep_for(std::chrono::milliseconds(millis)); }

}  // namespace

TEST_CASE("tcp: the header of either version is ahead of the stream, and is not counted") {
  for (const auto source : {SourceAddress::kProxyV1, SourceAddress::kProxyV2}) {
    Harness harness;
    Server server(harness.netns(), AnswerLate);
    const Address host = harness.Add(Writing(source, harness.TargetAt(server.address())));
    for (const size_t size : {0UL, 5UL, 1UL << 20}) {
      const UniqueFd client = ConnectTo(host);
      const std::string request(size, 'x');
      std::thread sender([&] {
        SendAll(client.get(), request);
        ShutdownWrite(client.get());
      });
      const Ending reply = ReadToEnd(client.get());
      sender.join();
      CHECK(reply.error == 0);
      const Introduced introduced = Split(reply.bytes);
      CHECK(introduced.ends.client == LocalAddress(client.get()).value());
      CHECK(introduced.ends.destination == host);
      CHECK(introduced.unique_id.size() == (source == SourceAddress::kProxyV2 ? 16 : 0));
      CHECK(introduced.rest == request);
    }
    CHECK(Eventually([&] { return harness.OpenSessions() == 0; }));
    CHECK(harness.Count(&ForwardCounters::bytes_to_container) == 5 + (1 << 20));
  }
}

TEST_CASE("tcp: a server that speaks first gets the header at once") {
  Harness harness;
  Server server(harness.netns(), [](int fd) {
    const std::string header = ReadUntilSplit(fd, 0);
    SendAll(fd, "welcome " + Split(header).ends.client.Text());
    ReadToEnd(fd);
  });
  const Address host =
      harness.Add(Writing(SourceAddress::kProxyV2, harness.TargetAt(server.address())));
  const UniqueFd client = ConnectTo(host);
  CHECK(ReadUpTo(client.get(), 17) == "welcome 127.0.0.1");
}

TEST_CASE("tcp: header and first words come in one segment, also to a server that is late") {
  Harness harness({.workers = 1});
  const UniqueFd netns(fcntl(harness.netns(), F_DUPFD_CLOEXEC, 0));
  UniqueFd listener;
  Address target;
  InNamespace(netns.get(), [&] {
    auto opened = OpenHostSocket(Protocol::kTcp, *Address::Parse("127.0.0.1", 0), false);
    target = LocalAddress(opened.value().get()).value();
  });
  const Address host = harness.Add(Writing(SourceAddress::kProxyV1, harness.TargetAt(target)));
  const UniqueFd client = ConnectTo(host);
  REQUIRE(SendAll(client.get(), "early"));
  REQUIRE(Eventually([&] { return harness.Count(&ForwardCounters::connect_retries) > 1; }));
  InNamespace(netns.get(), [&] {
    auto opened = OpenHostSocket(Protocol::kTcp, target, false);
    listener = std::move(opened.value());
  });
  UniqueFd connection;
  Address peer;
  REQUIRE(Eventually([&] { return Accept(listener.get(), connection, peer).moved(); }));
  std::array<char, 1'000> buffer{};
  Io first;
  REQUIRE(Eventually([&] { return (first = Receive(connection.get(), buffer)).moved(); }));
  CHECK(Split({buffer.data(), first.count}).rest == "early");
}

TEST_CASE("tcp: a client behind a load balancer is who the header says, everywhere") {
  Harness harness;
  Server server(harness.netns(), Echo);
  const Address host = harness.Add(Believing(harness.TargetAt(server.address())));
  for (const auto version : {ProxyVersion::k1, ProxyVersion::k2}) {
    const UniqueFd client = ConnectTo(host);
    REQUIRE(SendAll(client.get(), HeaderFrom("203.0.113.9", version) + "hello"));
    const Introduced introduced = Split(ReadUntilSplit(client.get(), 5));
    CHECK(introduced.ends.client == *Address::Parse("203.0.113.9", 51'000));
    CHECK(introduced.ends.destination == *Address::Parse("192.0.2.80", 443));
    CHECK((introduced.unique_id == "upstream") == (version == ProxyVersion::k2));
    CHECK(introduced.rest == "hello");
    const auto sessions = harness.engine().Sessions();
    REQUIRE(sessions.size() == 1);
    CHECK(sessions[0].client == *Address::Parse("203.0.113.9", 51'000));
    CHECK(sessions[0].bytes_to_container == 5);
    ShutdownWrite(client.get());
    CHECK(ReadToEnd(client.get()).error == 0);
    CHECK(Eventually([&] { return harness.OpenSessions() == 0; }));
  }
}

TEST_CASE("tcp: a header that comes byte by byte, with the stream close behind it, is read whole") {
  Harness harness;
  Server server(harness.netns(), Echo);
  const Address host = harness.Add(Believing(harness.TargetAt(server.address())));
  const UniqueFd client = ConnectTo(host);
  SetNoDelay(client.get());
  const std::string header = HeaderFrom("203.0.113.9");
  for (size_t at = 0; at + 1 < header.size(); ++at) {
    REQUIRE(SendAll(client.get(), header.substr(at, 1)));
    if (at % 8 == 0) SleepMillis(1);
  }
  CHECK(harness.engine().Sessions()[0].state == SessionState::kConnecting);
  const std::string body(300'000, 'y');
  std::thread sender([&] {
    SendAll(client.get(), header.substr(header.size() - 1) + body);
    ShutdownWrite(client.get());
  });
  const Introduced introduced = Split(ReadToEnd(client.get()).bytes);
  sender.join();
  CHECK(introduced.ends.client == *Address::Parse("203.0.113.9", 51'000));
  CHECK(introduced.rest == body);
}

TEST_CASE("tcp: a load balancer that speaks for itself is the client itself") {
  Harness harness;
  Server server(harness.netns(), Echo);
  const Address host = harness.Add(Believing(harness.TargetAt(server.address())));
  const UniqueFd client = ConnectTo(host);
  REQUIRE(SendAll(client.get(), "PROXY UNKNOWN\r\nhello"));
  const Introduced introduced = Split(ReadUntilSplit(client.get(), 5));
  CHECK(introduced.ends.client == LocalAddress(client.get()).value());
  CHECK(introduced.ends.destination == host);
  CHECK(introduced.rest == "hello");
}

TEST_CASE("tcp: who is not trusted, malformed or late is reset and counted, and never connected") {
  Harness harness;
  std::atomic<int> connections = 0;
  Server server(harness.netns(), [&](int) { ++connections; });
  ForwardConfig config = Believing(harness.TargetAt(server.address()));
  const Address host = harness.Add(config);
  config.id = 2;
  config.trusted_proxies = Believing(nullptr, Protocol::kTcp, "10.0.0.0/8").trusted_proxies;
  const Address closed = harness.Add(config);
  CHECK(ReadToEnd(ConnectTo(closed).get()).error == ECONNRESET);
  CHECK(harness.Count(&ForwardCounters::proxy_sources_untrusted) == 1);
  CHECK(Ask(host, "GET / HTTP/1.1\r\n\r\n").error == ECONNRESET);
  CHECK(Ask(host, HeaderFrom("203.0.113.9").substr(0, 20)).error == ECONNRESET);
  CHECK(Ask(host, "").error == ECONNRESET);
  CHECK(harness.Count(&ForwardCounters::proxy_headers_malformed) == 3);
  const int64_t started = NowMicros();
  const UniqueFd late = ConnectTo(host);
  REQUIRE(SendAll(late.get(), "PROXY TCP4 "));
  CHECK(ReadToEnd(late.get()).error == ECONNRESET);
  CHECK(NowMicros() - started >= 290'000);
  CHECK(harness.Count(&ForwardCounters::proxy_headers_late) == 1);
  CHECK(Eventually([&] { return harness.OpenSessions() == 0; }));
  CHECK(connections == 0);
}

TEST_CASE("tcp: a FIN behind a header is told from the reset that follows it") {
  Harness harness({.workers = 1});
  std::atomic<bool> ended = false;
  Ending seen;
  Server server(harness.netns(), [&](int fd) {
    seen = ReadToEnd(fd);
    ended = true;
  });
  const Address host = harness.Add(Believing(harness.TargetAt(server.address())));
  UniqueFd client = ConnectTo(host);
  REQUIRE(SendAll(client.get(), HeaderFrom("203.0.113.9") + "words"));
  REQUIRE(Eventually([&] { return harness.Count(&ForwardCounters::bytes_to_container) == 5; }));
  harness.WhileHeld([&] {
    SendAll(client.get(), "more");
    ShutdownWrite(client.get());
    ResetOnClose(client.get());
    client.Reset();
  });
  REQUIRE(Eventually([&] { return ended.load(); }));
  CHECK(seen.error == 0);
  CHECK(Split(seen.bytes).rest == "wordsmore");
}

TEST_CASE("tcp: a session that waits for its header ends with its forward") {
  Harness harness;
  Server server(harness.netns(), Echo);
  const Address host = harness.Add(Believing(harness.TargetAt(server.address())));
  const UniqueFd client = ConnectTo(host);
  REQUIRE(Eventually([&] { return harness.OpenSessions() == 1; }));
  harness.engine().Remove({1}, 0);
  CHECK(ReadToEnd(client.get()).error == ECONNRESET);
}

}  // namespace spliceport
