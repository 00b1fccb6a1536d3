#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>

#include <array>
#include <atomic>
#include <set>

#include "harness.h"
#include "server.h"

namespace spliceport {

namespace {

ForwardConfig Writing(SourceAddress source_address, TargetPtr target,
                      Protocol protocol = Protocol::kTcp) {
  ForwardConfig config;
  config.id = 1;
  config.protocol = protocol;
  config.target = std::move(target);
  config.source_address = source_address;
  return config;
}

// Reads headers, and writes what they said.
ForwardConfig Believing(TargetPtr target, Protocol protocol = Protocol::kTcp,
                        const std::string& trusted = "127.0.0.0/8") {
  ForwardConfig config = Writing(SourceAddress::kProxyV2, std::move(target), protocol);
  auto trust = std::make_shared<ProxyTrust>();
  trust->sources.push_back(*Cidr::Parse(trusted));
  trust->header_timeout_micros = 300'000;
  config.accept_proxy = trust;
  return config;
}

std::string HeaderFrom(const std::string& client, ProxyVersion version = ProxyVersion::k2,
                       Protocol protocol = Protocol::kTcp) {
  const ProxyEnds ends{*Address::Parse(client, 51'000), *Address::Parse("192.0.2.80", 443)};
  return WriteProxyHeader(version, protocol, {ends, "upstream"});
}

// Of a PROXY header and what is behind it.
struct Introduced {
  ProxyEnds ends;
  std::string unique_id;
  std::string rest;
};

Introduced Split(const std::string& bytes, Protocol protocol = Protocol::kTcp) {
  const ProxyReading reading = ReadProxyHeader(bytes, protocol);
  REQUIRE(reading.verdict == ProxyVerdict::kWhole);
  REQUIRE(reading.header.ends.has_value());
  return {*reading.header.ends, reading.header.unique_id, bytes.substr(reading.size)};
}

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
  SetNoDelayAndKeepalive(client.get());
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
  config.accept_proxy = Believing(nullptr, Protocol::kTcp, "10.0.0.0/8").accept_proxy;
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

namespace {

// Sends each datagram back to where it came from, as it came, in a namespace.
class UdpMirror {
 public:
  explicit UdpMirror(int netns) {
    InNamespace(netns, [&] {
      auto opened = OpenHostSocket(Protocol::kUdp, *Address::Parse("127.0.0.1", 0), false);
      socket_ = std::move(opened.value());
    });
    thread_ = std::thread([this] {
      while (!stop_)
        EchoOnce();
    });
  }
  ~UdpMirror() {
    stop_ = true;
    thread_.join();
  }
  UdpMirror(const UdpMirror&) = delete;
  UdpMirror& operator=(const UdpMirror&) = delete;
  Address address() const { return LocalAddress(socket_.get()).value(); }

 private:
  void EchoOnce() {
    pollfd poller{socket_.get(), POLLIN, 0};
    if (poll(&poller, 1, 20) <= 0) return;
    batch_.Clear();
    for (int i = 0, count = batch_.Receive(socket_.get(), false); i < count; ++i) {
      DatagramRoute back{.connected = false, .peer = batch_[i].peer};
      SendBatch out;
      out.Add(back, batch_[i]);
      out.Flush(socket_.get());
    }
  }

  UniqueFd socket_;
  ReceiveBatch batch_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

UniqueFd DatagramClient(const Address& host) {
  auto client = OpenConnectedDatagramSocket(host);
  REQUIRE(client.ok());
  return std::move(client.value());
}

// The datagrams that arrive, each by itself.
std::vector<std::string> Arrivals(int fd, size_t count) {
  std::vector<std::string> datagrams;
  ReceiveBatch batch;
  (void)Eventually([&] {
    batch.Clear();
    for (int i = batch.Receive(fd, true) - 1; i >= 0; --i) {
      const ReceivedTrain& train = batch[batch.used() - 1 - i];
      const std::string bytes(train.bytes.data(), train.bytes.size());
      const size_t segment = train.segment_bytes == 0 ? bytes.size() : train.segment_bytes;
      if (bytes.empty()) datagrams.emplace_back();
      for (size_t at = 0; at < bytes.size(); at += segment)
        datagrams.push_back(bytes.substr(at, segment));
    }
    return datagrams.size() >= count;
  });
  return datagrams;
}

SendOutcome SendDatagrams(int fd, const std::vector<std::string>& datagrams) {
  SendBatch batch;
  DatagramRoute route;
  for (const std::string& datagram : datagrams)
    batch.Add(route, {datagram, 0});
  return batch.Flush(fd);
}

}  // namespace

TEST_CASE("udp: each datagram has the header, of a train too, and replies come as they are") {
  Harness harness;
  UdpMirror server(harness.netns());
  const Address host = harness.Add(
      Writing(SourceAddress::kProxyV2, harness.TargetAt(server.address()), Protocol::kUdp));
  const UniqueFd client = DatagramClient(host);
  std::vector<std::string> sent;
  for (size_t i = 0; i < 30; ++i)
    sent.push_back(std::string(i < 29 ? 1'200 : 7, static_cast<char>('a' + i)));
  sent.emplace_back();
  CHECK(SendDatagrams(client.get(), sent).datagrams == sent.size());
  const auto mirrored = Arrivals(client.get(), sent.size());
  REQUIRE(mirrored.size() == sent.size());
  std::string unique_id;
  for (size_t i = 0; i < sent.size(); ++i) {
    const Introduced introduced = Split(mirrored[i], Protocol::kUdp);
    CHECK(introduced.ends.client == LocalAddress(client.get()).value());
    CHECK(introduced.ends.destination == host);
    CHECK(introduced.rest == sent[i]);
    if (i == 0) unique_id = introduced.unique_id;
    CHECK(introduced.unique_id == unique_id);
  }
  CHECK(unique_id.size() == 16);
  CHECK(harness.Count(&ForwardCounters::bytes_to_container) == 29 * 1'200 + 7);
}

TEST_CASE("udp: a datagram that has no room for the header is dropped and counted") {
  Harness harness;
  UdpMirror server(harness.netns());
  const Address host = harness.Add(
      Writing(SourceAddress::kProxyV2, harness.TargetAt(server.address()), Protocol::kUdp));
  const UniqueFd client = DatagramClient(host);
  // 16 bytes, 12 for the ends, 19 for the id.
  SendDatagrams(client.get(), {std::string(65'507 - 46, 'x'), "fits"});
  CHECK(Split(Arrivals(client.get(), 1).at(0), Protocol::kUdp).rest == "fits");
  CHECK(harness.Count(&ForwardCounters::datagrams_dropped) == 1);
  SendDatagrams(client.get(), {std::string(65'507 - 47, 'x')});
  CHECK(Arrivals(client.get(), 1).at(0).size() == 65'507);
}

TEST_CASE("udp: a target that changes under a flow is told of the client as well") {
  Harness harness;
  UdpMirror first(harness.netns());
  UdpMirror second(harness.netns());
  const Address host = harness.Add(
      Writing(SourceAddress::kProxyV2, harness.TargetAt(first.address()), Protocol::kUdp));
  const UniqueFd client = DatagramClient(host);
  SendDatagrams(client.get(), {"one"});
  CHECK(Split(Arrivals(client.get(), 1).at(0), Protocol::kUdp).rest == "one");
  harness.engine().Retarget({{1, harness.TargetAt(second.address())}});
  SendDatagrams(client.get(), {"two"});
  CHECK(Split(Arrivals(client.get(), 1).at(0), Protocol::kUdp).rest == "two");
}

TEST_CASE("udp: clients behind one socket of a load balancer have a flow each, and its replies") {
  Harness harness;
  UdpMirror server(harness.netns());
  const Address host = harness.Add(Believing(harness.TargetAt(server.address()), Protocol::kUdp));
  const UniqueFd balancer = DatagramClient(host);
  std::vector<std::string> sent;
  for (size_t i = 0; i < 20; ++i) {
    // Equal sizes: they come as one train.
    const std::string client = "203.0.113." + std::to_string(1 + i % 2);
    sent.push_back(HeaderFrom(client, ProxyVersion::k2, Protocol::kUdp) +
                   std::string(100, static_cast<char>('a' + i)));
  }
  SendDatagrams(balancer.get(), sent);
  const auto mirrored = Arrivals(balancer.get(), sent.size());
  CHECK(std::multiset(mirrored.begin(), mirrored.end()) == std::multiset(sent.begin(), sent.end()));
  const auto sessions = harness.engine().Sessions();
  REQUIRE(sessions.size() == 2);
  CHECK(std::set{sessions[0].client.Text(), sessions[1].client.Text()} ==
        std::set<std::string>{"203.0.113.1", "203.0.113.2"});
  CHECK(harness.Count(&ForwardCounters::bytes_to_container) == 20 * 100);
}

TEST_CASE("udp: a datagram without a right header, or of a stranger, is dropped and counted") {
  Harness harness;
  UdpMirror server(harness.netns());
  ForwardConfig config = Believing(harness.TargetAt(server.address()), Protocol::kUdp);
  const Address host = harness.Add(config);
  config.id = 2;
  config.accept_proxy = Believing(nullptr, Protocol::kUdp, "10.0.0.0/8").accept_proxy;
  const Address closed = harness.Add(config);
  const std::string header = HeaderFrom("203.0.113.9", ProxyVersion::k2, Protocol::kUdp);
  SendDatagrams(DatagramClient(closed).get(), {header, header});
  const UniqueFd balancer = DatagramClient(host);
  SendDatagrams(balancer.get(), {"", "GET /", header.substr(0, 20), HeaderFrom("203.0.113.9"),
                                 "PROXY TCP4 1.2.3.4 1.2.3.5 1 2\r\n", header + "right"});
  CHECK(Split(Arrivals(balancer.get(), 1).at(0), Protocol::kUdp).rest == "right");
  CHECK(harness.Count(&ForwardCounters::proxy_headers_malformed) == 5);
  CHECK(Eventually([&] { return harness.Count(&ForwardCounters::proxy_sources_untrusted) == 2; }));
}

}  // namespace spliceport
