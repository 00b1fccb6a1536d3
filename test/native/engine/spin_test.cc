// What polling costs where it brings nothing. The bounds are shares of a processor, far from both
// outcomes: a worker that polled all the time would take a whole one.

#include <doctest/doctest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "support/harness.h"
#include "support/processor_time.h"
#include "support/server.h"

namespace spliceport {

namespace {

constexpr UsualSettings kPolling{.workers = 2, .spin_micros = 50};

bool Ping(int client) { return SendAll(client, "ping") && ReadUpTo(client, 4) == "ping"; }

// What the workers' threads have had of a processor, by /proc/pid/task/tid/schedstat (proc(5)).
int64_t MicrosOfWorkers() {
  int64_t nanos = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::ifstream(task.path() / "comm") >> name;
    int64_t of_thread = 0;
    if (name.starts_with("spliceport-")) std::ifstream(task.path() / "schedstat") >> of_thread;
    nanos += of_thread;
  }
  return nanos / 1'000;
}

// What the talk of so many sessions takes of the workers: each says a word, all at once, every 80
// ms. The pause is long beside the talk, also on a busy machine and under a sanitizer, so it is
// what polling shows in.
int64_t MicrosOfTalk(size_t sessions) {
  Harness harness({.workers = 2, .spin_micros = 200'000});
  Server server(harness.netns(), Echo);
  const Address host = harness.Add(1, Protocol::kTcp, server.address());
  const std::vector<UniqueFd> clients = ConnectMany(host, sessions);
  const int64_t before = MicrosOfWorkers();
  for (int round = 0; round < 20; ++round) {
    for (const UniqueFd& client : clients)
      REQUIRE(SendAll(client.get(), "ping"));
    for (const UniqueFd& client : clients)
      REQUIRE(ReadUpTo(client.get(), 4) == "ping");
    std::this_thread::sleep_for(std::chrono::milliseconds(80));
  }
  return MicrosOfWorkers() - before;
}

}  // namespace

TEST_CASE("a worker that may poll takes no processor time while nothing happens") {
  Harness harness(kPolling);
  Server server(harness.netns(), Echo);
  const UniqueFd client = ConnectTo(harness.Add(1, Protocol::kTcp, server.address()));
  REQUIRE(Ping(client.get()));
  CHECK(ProcessorMicrosOfOneSecond() < 20'000);
}

TEST_CASE("a worker that may poll takes little processor time for a message now and then") {
  Harness harness(kPolling);
  Server server(harness.netns(), Echo);
  const UniqueFd client = ConnectTo(harness.Add(1, Protocol::kTcp, server.address()));
  const int64_t before = ProcessorMicros();
  for (int i = 0; i < 10; ++i) {
    REQUIRE(Ping(client.get()));
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  CHECK(ProcessorMicros() - before < 50'000);
}

// A few that talk are what polling is for, so they show what it takes.
TEST_CASE("a worker that may poll does not while many sessions talk") {
  CHECK(2 * MicrosOfTalk(48) < MicrosOfTalk(4));
}

}  // namespace spliceport
