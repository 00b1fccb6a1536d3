// The way to the container: targets that refuse, that are silent, and forwards that are removed
// while clients queue.

#include <doctest/doctest.h>
#include <poll.h>

#include <fstream>
#include <sstream>

#include "support/harness.h"
#include "support/server.h"

namespace spliceport {

namespace {

// The namespace's count of connection attempts that failed, from the table in /proc/net/snmp.
int64_t FailedAttempts(int netns) {
  int64_t failed = -1;
  InNamespace(netns, [&] {
    std::ifstream table("/proc/thread-self/net/snmp");
    std::string names;
    std::string line;
    while (std::getline(table, line)) {
      if (!line.starts_with("Tcp:")) continue;
      if (names.empty()) {
        names = line;
        continue;
      }
      std::istringstream name_words(names);
      std::istringstream words(line);
      for (std::string name, word; name_words >> name && words >> word;) {
        if (name == "AttemptFails") failed = std::stoll(word);
      }
    }
  });
  return failed;
}

// A listener that answers no SYN, because its queue is full and nobody accepts.
class SilentListener {
 public:
  explicit SilentListener(int netns) {
    InNamespace(netns, [&] {
      fd_.Reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const Address any = *Address::Parse("127.0.0.1", 0);
      if (bind(fd_.get(), any.bytes(), any.size()) != 0 || listen(fd_.get(), 0) != 0) return;
      address_ = LocalAddress(fd_.get()).value();
      do
        fillers_.push_back(ConnectTo(address_));
      while (IsConnected(fillers_.back().get()));
    });
    REQUIRE(fillers_.size() > 1);
  }
  const Address& address() const { return address_; }
  // Takes what waits in the queue, and so answers SYNs again.
  void Accept() {
    for (size_t i = 0; i + 1 < fillers_.size(); ++i)
      UniqueFd(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    fillers_.clear();
  }
  UniqueFd Next() { return UniqueFd(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC)); }

 private:
  static bool IsConnected(int fd) {
    pollfd poller{fd, POLLOUT, 0};
    return poll(&poller, 1, 50) == 1;
  }
  UniqueFd fd_;
  Address address_;
  std::vector<UniqueFd> fillers_;
};

std::vector<UniqueFd> Asking(const Address& host, int count) {
  std::vector<UniqueFd> clients;
  for (int i = 0; i < count; ++i) {
    clients.push_back(ConnectTo(host));
    REQUIRE(SendAll(clients.back().get(), "ping"));
  }
  return clients;
}

}  // namespace

TEST_CASE("tcp: a port where nobody listens is tried ten times in about 225 ms") {
  Harness harness;
  const Address nobody = *Address::Parse("127.0.0.1", 1);
  const Address host = harness.Add(1, Protocol::kTcp, nobody);
  const int64_t failed_before = FailedAttempts(harness.netns());
  const int64_t started = NowMicros();
  const UniqueFd client = ConnectTo(host);
  CHECK(ReadToEnd(client.get()).error == ECONNRESET);
  const int64_t took = NowMicros() - started;
  CHECK(took >= 225'000);
  CHECK(took < 1'000'000);
  CHECK(FailedAttempts(harness.netns()) - failed_before == 10);
  CHECK(harness.Count(&ForwardCounters::connect_retries) == 9);
  CHECK(harness.Count(&ForwardCounters::connect_failures) == 1);
  CHECK(harness.OpenSessions() == 0);
}

// Where every port that the kernel may give to a client is the target's.
TEST_CASE("tcp: a port where nobody listens is never connected to itself, and stays free") {
  for (const char* loopback : {"127.0.0.1", "::1"}) {
    Harness harness;
    const Address target = *Address::Parse(loopback, 50'000);
    InNamespace(harness.netns(), [] {
      std::ofstream range("/proc/sys/net/ipv4/ip_local_port_range");
      REQUIRE((range << "50000 50000").flush());
    });
    const Address host = harness.Add(1, Protocol::kTcp, target);
    const UniqueFd client = ConnectTo(host);
    REQUIRE(SendAll(client.get(), "my own words"));
    const Ending ending = ReadToEnd(client.get());
    CHECK(ending.bytes == "");
    CHECK(ending.error == ECONNRESET);
    CHECK(harness.Count(&ForwardCounters::connect_retries) == 9);
    InNamespace(harness.netns(), [&] { CHECK(OpenHostSocket(Protocol::kTcp, target, true).ok()); });
  }
}

TEST_CASE(
    "tcp: a target that never answers is given up at the connect timeout, and hinders nobody") {
  Harness harness({.workers = 1});
  const SilentListener silent(harness.netns());
  Server server(harness.netns(), Echo);
  const Address live = harness.Add(1, Protocol::kTcp, server.address());
  for (const int64_t timeout_micros : {100'000, 700'000}) {
    const int id = static_cast<int>(timeout_micros);
    const Address host = harness.Add(id, Protocol::kTcp, silent.address(),
                                     {.connect_timeout_micros = timeout_micros});
    const uint64_t timeouts = harness.Count(&ForwardCounters::connect_timeouts);
    const int64_t started = NowMicros();
    const UniqueFd client = ConnectTo(host);
    REQUIRE(SendAll(client.get(), "anybody?"));
    const UniqueFd other = ConnectTo(live);
    REQUIRE(SendAll(other.get(), "ping"));
    CHECK(ReadUpTo(other.get(), 4) == "ping");
    CHECK(ReadToEnd(client.get()).error == ECONNRESET);
    CHECK(NowMicros() - started >= timeout_micros);
    CHECK(NowMicros() - started < timeout_micros + 1'000'000);
    CHECK(harness.Count(&ForwardCounters::connect_timeouts) == timeouts + 1);
  }
  CHECK(Eventually([&] { return harness.OpenSessions() == 0; }));
}

TEST_CASE("tcp: a target that answers late gets what the client said meanwhile") {
  Harness harness;
  SilentListener late(harness.netns());
  const Address host = harness.Add(1, Protocol::kTcp, late.address());
  const UniqueFd client = ConnectTo(host);
  REQUIRE(SendAll(client.get(), "hello"));
  ShutdownWrite(client.get());
  REQUIRE(Eventually([&] { return harness.OpenSessions() == 1; }));
  late.Accept();
  // Its SYN is sent again after a second.
  const UniqueFd server = late.Next();
  CHECK(ReadToEnd(server.get()).bytes == "hello");
  CHECK(harness.Count(&ForwardCounters::connect_failures) == 0);
}

TEST_CASE(
    "tcp: who waits in the queue of a forward that drains is served, and who is served goes on") {
  Harness harness({.workers = 1});
  Server server(harness.netns(), Echo);
  const Address host = harness.Add(1, Protocol::kTcp, server.address());
  std::vector<UniqueFd> clients;
  harness.WhileHeld([&] { clients = Asking(host, 200); }, {1}, 60'000'000);
  CHECK(OpenHostSocket(Protocol::kTcp, host, false).ok());
  for (const UniqueFd& client : clients) {
    CHECK(ReadUpTo(client.get(), 4) == "ping");
    REQUIRE(SendAll(client.get(), "more"));
    ShutdownWrite(client.get());
    CHECK(ReadToEnd(client.get()).bytes == "more");
  }
  CHECK(Eventually([&] { return harness.Removals(1) == 1; }));
}

TEST_CASE("tcp: who waits in the queue of a forward that is removed at once is reset") {
  Harness harness({.workers = 1});
  Server server(harness.netns(), Echo);
  const Address host = harness.Add(1, Protocol::kTcp, server.address());
  std::vector<UniqueFd> clients;
  harness.WhileHeld([&] { clients = Asking(host, 50); }, {1});
  for (const UniqueFd& client : clients)
    CHECK(ReadToEnd(client.get()).error == ECONNRESET);
  CHECK(harness.Removals(1) == 1);
  CHECK(OpenHostSocket(Protocol::kTcp, host, false).ok());
}

TEST_CASE("tcp: what is not finished when the drain's time is over is cut with a reset") {
  Harness harness;
  Server server(harness.netns(), Echo);
  const Address host = harness.Add(1, Protocol::kTcp, server.address());
  const auto clients = Asking(host, 10);
  for (const UniqueFd& client : clients)
    REQUIRE(ReadUpTo(client.get(), 4) == "ping");
  const int64_t started = NowMicros();
  harness.engine().Remove({1}, 200'000);
  for (size_t i = 0; i < 5; ++i) {
    ShutdownWrite(clients[i].get());
    CHECK(ReadToEnd(clients[i].get()).error == 0);
  }
  for (size_t i = 5; i < clients.size(); ++i)
    CHECK(ReadToEnd(clients[i].get()).error == ECONNRESET);
  CHECK(NowMicros() - started >= 200'000);
  CHECK(NowMicros() - started < 1'500'000);
  CHECK(Eventually([&] { return harness.Removals(1) == 1; }));
}

}  // namespace spliceport
