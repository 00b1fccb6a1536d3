// Random scripts, each played on a direct connection and through the relay, both of which must keep
//   what TCP promises. SPLICEPORT_SCRIPTS  how many (default 3,000) SPLICEPORT_SEED     the first
//   one's seed (default 1); the others follow. A failure names its own.

#include <doctest/doctest.h>
#include <poll.h>

#include <cstdlib>
#include <deque>
#include <fstream>

#include "support/call_faults.h"
#include "support/harness.h"
#include "support/tcp_endpoint.h"

namespace spliceport {

namespace {

constexpr size_t kPlaysAtOnce = 12;
constexpr int64_t kDeadlineMicros = 20'000'000;
// How long a connection that is to stay open is watched.
constexpr int64_t kGraceMicros = 5'000;

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

UniqueFd Listener(bool v6) {
  auto opened = OpenHostSocket(Protocol::kTcp, *Address::Parse(v6 ? "::1" : "127.0.0.1", 0), false);
  REQUIRE(opened.ok());
  return std::move(opened.value());
}

UniqueFd ListenerIn(int netns) {
  UniqueFd listener;
  InNamespace(netns, [&] { listener = Listener(false); });
  return listener;
}

// In the namespace, what is sent has little room, so that copies are left over.
void Narrow(int netns) {
  InNamespace(netns, [] { std::ofstream("/proc/sys/net/ipv4/tcp_wmem") << "4096 8192 8192"; });
}

// One script's server socket, its client, and what both do.
class Stage {
 public:
  Stage(const Script& script, UniqueFd listener)
      : script_(script), listener_(std::move(listener)), client_(script, 0), server_(script, 1) {
    FixReceiveBuffer(listener_.get(), 1);
  }
  Address address() const { return LocalAddress(listener_.get()).value(); }

  void Connect(const Address& address) {
    auto opened = OpenStreamSocket(address.is_v6());
    REQUIRE(opened.ok());
    const int fd = opened.value().get();
    FixReceiveBuffer(fd, 0);
    REQUIRE(StartConnect(fd, address).ok());
    pollfd poller{fd, POLLOUT, 0};
    REQUIRE(poll(&poller, 1, 5'000) == 1);
    client_.Begin(std::move(opened.value()), NowMicros());
  }

  bool Advance(int64_t now) {
    bool moved = false;
    UniqueFd connection;
    Address peer;
    if (!server_.begun() && Accept(listener_.get(), connection, peer).moved()) {
      server_.Begin(std::move(connection), now);
      moved = true;
    }
    moved = client_.Advance(now) || moved;
    return server_.Advance(now) || moved;
  }

  bool Content() const { return client_.Content() && server_.Content(); }
  std::string Complaint(const char* name) const {
    const std::string client = client_.Complaint();
    const std::string server = server_.Complaint();
    if (client.empty() && server.empty()) return "";
    return std::string("  ") + name + "\n    client: " + client_.Text() + " " + client +
           "\n    server: " + server_.Text() + " " + server + "\n";
  }

 private:
  void FixReceiveBuffer(int fd, size_t side) {
    const int bytes = script_.parts[side].receive_buffer_bytes;
    if (bytes != 0) REQUIRE(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) == 0);
  }

  const Script& script_;
  UniqueFd listener_;
  TcpEndpoint client_;
  TcpEndpoint server_;
};

// A script on both stages.
class Play {
 public:
  Play(uint64_t seed, Harness& harness, int id, bool narrow)
      : script_(Script::Random(seed)),
        direct_(script_, Listener(seed % 2 == 0)),
        relayed_(script_, narrow ? ListenerIn(harness.netns()) : Listener(seed % 3 == 0)),
        deadline_(NowMicros() + kDeadlineMicros) {
    UniqueFd host = Listener(seed % 5 == 0);
    const int little = 4'096;
    if (narrow) setsockopt(host.get(), SOL_SOCKET, SO_SNDBUF, &little, sizeof(little));
    const Address address = LocalAddress(host.get()).value();
    auto target = narrow ? harness.TargetAt(relayed_.address())
                         : std::make_shared<const Target>(Target{nullptr, relayed_.address()});
    auto socket = std::make_shared<const UniqueFd>(std::move(host));
    REQUIRE(harness.engine()
                .Add({{id, Protocol::kTcp, std::move(socket), std::move(target), UsualLimits()}})
                .ok());
    direct_.Connect(direct_.address());
    relayed_.Connect(address);
  }

  bool Advance(int64_t now) {
    const bool moved = direct_.Advance(now);
    return relayed_.Advance(now) || moved;
  }

  bool Over(int64_t now) {
    if (now > deadline_) return true;
    if (!direct_.Content() || !relayed_.Content()) {
      content_since_ = 0;
      return false;
    }
    if (content_since_ == 0) content_since_ = now;
    return now > content_since_ + kGraceMicros;
  }

  std::string Complaint() const {
    const std::string text = direct_.Complaint("direct") + relayed_.Complaint("relayed");
    return text.empty() ? "" : script_.Text() + text;
  }

 private:
  const Script script_;
  Stage direct_;
  Stage relayed_;
  const int64_t deadline_;
  int64_t content_since_ = 0;
};

// Plays `count` scripts, some at a time; what went wrong.
std::string PlayAll(Harness& harness, bool narrow, uint64_t first_seed, uint64_t count) {
  std::string complaints;
  std::deque<std::pair<int, std::unique_ptr<Play>>> plays;
  uint64_t begun = 0;
  while (begun < count || !plays.empty()) {
    while (begun < count && plays.size() < kPlaysAtOnce) {
      const int id = static_cast<int>(begun) + 1;
      plays.emplace_back(id, std::make_unique<Play>(first_seed + begun++, harness, id, narrow));
    }
    bool moved = false;
    const int64_t now = NowMicros();
    for (auto& [id, play] : plays) {
      moved = play->Advance(now) || moved;
      if (!play->Over(now)) continue;
      complaints += play->Complaint();
      // The sessions end because the play's sockets are closed; the forward only has to let them.
      play.reset();
      harness.engine().Remove({id}, 60'000'000);
    }
    std::erase_if(plays, [](const auto& entry) { return entry.second == nullptr; });
    if (!moved) std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return complaints;
}

void TestWith(const UsualSettings& settings, bool narrow = false) {
  const uint64_t count = FromEnvironment("SPLICEPORT_SCRIPTS", 3'000) / 5;
  const uint64_t first_seed = FromEnvironment("SPLICEPORT_SEED", 1);
  Harness harness(settings);
  if (narrow) Narrow(harness.netns());
  const int descriptors = OpenDescriptors();
  const std::string complaints = PlayAll(harness, narrow, first_seed, count);
  CHECK_MESSAGE(complaints.empty(), complaints);
  CHECK(Eventually([&] { return harness.OpenSessions() == 0; }, std::chrono::seconds(10)));
  // Pipes stay in the pools. A forward lets go of its namespace a moment after its last session has
  // ended.
  CHECK(Eventually([&] { return OpenDescriptors() <= descriptors + 8 * settings.workers; }));
}

}  // namespace

TEST_CASE(
    "tcp: any script of writes, pauses and endings has the relay agree with a direct connection") {
  SUBCASE("one worker") { TestWith({.workers = 1}); }
  SUBCASE("two workers, small pipes") { TestWith({.workers = 2, .pipe_capacity_bytes = 64 << 10}); }
  SUBCASE("two workers, little room to send") { TestWith({.workers = 2}, true); }
  SUBCASE("two workers whose calls fail now and then") {
    const CallFaults faults(FromEnvironment("SPLICEPORT_SEED", 1));
    TestWith({.workers = 2});
    CHECK(faults.count() > 0);
  }
  SUBCASE("two workers that spin") { TestWith({.workers = 2, .spin_micros = 50}); }
}

}  // namespace spliceport
