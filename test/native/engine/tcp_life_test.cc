// What many short lives leave behind, and how a long one is kept.

#include <doctest/doctest.h>
#include <netinet/tcp.h>

#include <latch>
#include <random>

#include "support/child.h"
#include "support/harness.h"
#include "support/processor_time.h"
#include "support/server.h"
#include "support/stays_true.h"

namespace spliceport {

namespace {

TargetPtr Here(const Address& address) {
  return std::make_shared<const Target>(Target{nullptr, address});
}

// A client that says something, perhaps hears some of it, and is reset or closed at any point of
// that.
class ShortLife {
 public:
  ShortLife(const Address& host, std::mt19937& random)
      : fd_(ConnectTo(host)), patience_(random() % 8), by_reset_(random() % 4 != 0) {
    const std::string text(random() % 3 == 0 ? random() % 60'000 : random() % 100, 'x');
    if (patience_ > 0) (void)Send(fd_.get(), text);
    if (random() % 5 == 0) ShutdownWrite(fd_.get());
  }
  // Whether it is over.
  bool Advance() {
    if (patience_-- <= 0) {
      if (by_reset_) ResetOnClose(fd_.get());
      fd_.Reset();
      return true;
    }
    char buffer[4'096];
    const Io io = Receive(fd_.get(), buffer);
    return io.at_end() || io.failed();
  }

 private:
  UniqueFd fd_;
  int patience_;
  bool by_reset_;
};

// The descriptor of this process that is connected to `peer`; -1 for none.
int DescriptorTo(const Address& peer) {
  for (int fd = 0; fd < 1'000; ++fd) {
    sockaddr_storage bytes{};
    socklen_t size = sizeof(bytes);
    if (getpeername(fd, reinterpret_cast<sockaddr*>(&bytes), &size) != 0) continue;
    if (bytes.ss_family == AF_INET && Address::FromKernel(bytes) == peer) return fd;
  }
  return -1;
}

int Option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof(value);
  getsockopt(fd, level, name, &value, &size);
  return value;
}

// The descriptor with which the engine has accepted `client`.
int Accepted(const UniqueFd& client) { return DescriptorTo(LocalAddress(client.get()).value()); }

// How `fd` asks for its other end: after what, how often, how many times.
std::vector<int> KeepaliveOf(int fd) {
  if (Option(fd, SOL_SOCKET, SO_KEEPALIVE) == 0) return {};
  return {Option(fd, IPPROTO_TCP, TCP_KEEPIDLE), Option(fd, IPPROTO_TCP, TCP_KEEPINTVL),
          Option(fd, IPPROTO_TCP, TCP_KEEPCNT)};
}

}  // namespace

TEST_CASE("tcp: ten thousand connections that end at any point leave nothing") {
  constexpr size_t kLives = 10'000;
  constexpr size_t kAtOnce = 150;
  constexpr size_t kMaxQueued = 3'000;
  const EchoProcess server;
  Harness harness;
  const Address host = harness.AddTo(1, Protocol::kTcp, Here(server.address()));
  std::mt19937 random(5);
  const int before = OpenDescriptors();
  std::vector<ShortLife> lives;
  for (size_t begun = 0; begun < kLives || !lives.empty();) {
    // No more than the listener's queue holds, or the kernel drops some.
    const uint64_t queued = begun - harness.Count(&ForwardCounters::sessions_total);
    while (begun < kLives && lives.size() < kAtOnce && queued < kMaxQueued) {
      lives.emplace_back(host, random);
      ++begun;
    }
    std::erase_if(lives, [](ShortLife& life) { return life.Advance(); });
  }
  CHECK(Eventually(
      [&] {
        return harness.Count(&ForwardCounters::sessions_total) == kLives &&
               harness.OpenSessions() == 0;
      },
      std::chrono::seconds(20)));
  // A pool keeps up to four pipes.
  CHECK(OpenDescriptors() <= before + 2 * 4 * 2);
  CHECK(harness.engine().Sessions().empty());
}

TEST_CASE(
    "tcp: neither side of a session that has said more than one thing holds a short segment back") {
  Harness harness;
  Server server(harness.netns(), Echo);
  const UniqueFd client = ConnectTo(harness.Add(1, Protocol::kTcp, server.address()));
  for (int i = 0; i < 3; ++i) {
    REQUIRE(SendAll(client.get(), "ping"));
    REQUIRE(ReadUpTo(client.get(), 4) == "ping");
  }
  for (const Address& peer : {LocalAddress(client.get()).value(), server.address()}) {
    const int fd = DescriptorTo(peer);
    REQUIRE(fd >= 0);
    CHECK(Option(fd, IPPROTO_TCP, TCP_NODELAY) == 1);
  }
}

// As one that waits for a long poll, or for a server that speaks when it likes.
TEST_CASE(
    "tcp: a session that says little asks for the other end once it has lasted, and not before") {
  Harness harness;
  Server server(harness.netns(), Echo);
  const UniqueFd client = ConnectTo(harness.Add(1, Protocol::kTcp, server.address()));
  REQUIRE(SendAll(client.get(), "ping"));
  REQUIRE(ReadUpTo(client.get(), 4) == "ping");
  const int fd = DescriptorTo(server.address());
  REQUIRE(fd >= 0);
  CHECK(KeepaliveOf(fd).empty());
  CHECK(Eventually([&] { return !KeepaliveOf(fd).empty(); }));
  CHECK(KeepaliveOf(fd) == std::vector{15, 15, 9});
  CHECK(KeepaliveOf(Accepted(client)) == std::vector{15, 15, 9});
}

TEST_CASE("tcp: both sides ask for their other ends at the times of their forward, or never") {
  struct Case {
    Keepalive keepalive;
    std::vector<int> expected;
  };
  Harness harness;
  Server server(harness.netns(), Echo);
  int id = 0;
  for (const Case& each : {Case{{7, 3, 2}, {7, 3, 2}}, Case{{0, 3, 2}, {}}}) {
    const Address host =
        harness.Add(++id, Protocol::kTcp, server.address(), {.keepalive = each.keepalive});
    UniqueFd client = ConnectTo(host);
    REQUIRE(SendAll(client.get(), "ping"));
    REQUIRE(ReadUpTo(client.get(), 4) == "ping");
    CHECK(KeepaliveOf(Accepted(client)) == each.expected);
    const int fd = DescriptorTo(server.address());
    CHECK(Eventually([&] { return KeepaliveOf(fd) == each.expected; }));
    // The next case must not find this session's descriptors.
    client.Reset();
    REQUIRE(Eventually([&] { return harness.OpenSessions() == 0; }));
  }
}

TEST_CASE("tcp: a peer that vanishes without a word is found out, and the client reset") {
  Harness harness;
  constexpr UsualLimits kImpatient{.keepalive = {1, 1, 2}};
  std::latch to_vanish(1);
  Server server(harness.netns(), [&](int fd) {
    for (int i = 0; i < 2; ++i)
      SendAll(fd, ReadUpTo(fd, 4));
    to_vanish.wait();
    // What is closed in repair mode says nothing.
    constexpr int kRepair = 1;
    CHECK(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &kRepair, sizeof(kRepair)) == 0);
  });
  const UniqueFd client = ConnectTo(harness.Add(1, Protocol::kTcp, server.address(), kImpatient));
  for (int i = 0; i < 2; ++i) {
    REQUIRE(SendAll(client.get(), "ping"));
    REQUIRE(ReadUpTo(client.get(), 4) == "ping");
  }
  to_vanish.count_down();
  CHECK(ReadToEnd(client.get()).error == ECONNRESET);
  CHECK(Eventually([&] { return harness.OpenSessions() == 0; }));
  CHECK(harness.Count(&ForwardCounters::sessions_reset) == 1);
}

TEST_CASE("tcp: a listener that somebody else has shut down costs nothing") {
  const std::string wrong = InChild([](Findings& findings) {
    Harness harness;
    auto opened = OpenHostSocket(Protocol::kTcp, *Address::Parse("127.0.0.1", 0), false);
    auto socket = std::make_shared<const UniqueFd>(std::move(opened.value()));
    const auto target = Here(*Address::Parse("127.0.0.1", 1));
    findings.Expect(harness.engine().Add({{1, Protocol::kTcp, socket, target, UsualLimits()}}).ok(),
                    "no forward");
    shutdown(socket->get(), SHUT_RDWR);
    findings.Expect(
        StaysTrueFor(std::chrono::milliseconds(500), [] { return ProcessorMicros() < 100'000; }),
        "the worker spins");
    harness.engine().Remove({1}, 0);
    findings.Expect(harness.Removals(1) == 1, "not removed");
  });
  CHECK(wrong == "");
}

}  // namespace spliceport
