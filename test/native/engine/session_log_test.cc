#include "relay/session_log.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "support/harness.h"

namespace spliceport {

namespace {

EndedSession Numbered(int number) {
  EndedSession ended;
  ended.forward_id = number;
  ended.bytes_to_host = static_cast<uint64_t>(number);
  return ended;
}

int Fill(SessionLog& log, size_t worker) {
  int added = 0;
  while (log.Add(worker, Numbered(added)))
    ++added;
  return added;
}

}  // namespace

TEST_CASE("session log: what was added is taken in its order, in pieces of any size") {
  SessionLog log(1, [] {});
  for (int round = 0; round < 3; ++round) {
    const int added = Fill(log, 0);
    CHECK(added == static_cast<int>(SessionLog::kRecordsPerWorker));
    std::vector<EndedSession> taken;
    while (log.Take(1'000, taken)) {
    }
    REQUIRE(taken.size() == static_cast<size_t>(added));
    for (int i = 0; i < added; ++i)
      CHECK(taken[static_cast<size_t>(i)].forward_id == i);
  }
}

TEST_CASE(
    "session log: a full ring refuses, and leaves what it has and the other workers' as they are") {
  SessionLog log(2, [] {});
  const int added = Fill(log, 0);
  CHECK(!log.Add(0, Numbered(added)));
  CHECK(log.Add(1, Numbered(7)));
  std::vector<EndedSession> taken;
  CHECK(log.Take(1, taken));
  CHECK(taken.front().forward_id == 0);
  CHECK(log.Add(0, Numbered(added)));
  while (log.Take(10'000, taken)) {
  }
  CHECK(taken.size() == static_cast<size_t>(added) + 2);
}

TEST_CASE("session log: one wake-up comes for all that is added until somebody takes") {
  int wakes = 0;
  SessionLog log(1, [&] { ++wakes; });
  for (int i = 0; i < 10; ++i)
    log.Add(0, Numbered(i));
  CHECK(wakes == 1);
  std::vector<EndedSession> taken;
  CHECK(log.Take(4, taken));
  log.Add(0, Numbered(10));
  // Who is told that there is more comes again.
  CHECK(wakes == 1);
  CHECK(!log.Take(100, taken));
  CHECK(taken.size() == 11);
  log.Add(0, Numbered(11));
  CHECK(wakes == 2);
}

TEST_CASE("session log: nothing is lost, torn or forgotten between workers and a reader") {
  constexpr int kWorkers = 2;
  constexpr int kEach = 50'000;
  std::atomic<bool> is_woken = false;
  SessionLog log(kWorkers, [&] { is_woken = true; });
  std::atomic<int> refused = 0;
  std::vector<std::thread> workers;
  for (int worker = 0; worker < kWorkers; ++worker) {
    workers.emplace_back([&, worker] {
      for (int i = 0; i < kEach; ++i) {
        if (!log.Add(static_cast<size_t>(worker), Numbered(worker * kEach + i))) ++refused;
      }
    });
  }
  std::atomic<bool> are_done = false;
  std::thread joiner([&] {
    for (std::thread& worker : workers)
      worker.join();
    are_done = true;
  });
  std::set<int> numbers;
  std::vector<EndedSession> taken;
  bool is_torn = false;
  // What is there must have woken: nobody looks unasked.
  for (bool is_last = false; !is_last;) {
    is_last = are_done;
    if (!is_woken.exchange(false)) continue;
    for (bool is_more = true; is_more;) {
      taken.clear();
      is_more = log.Take(100, taken);
      for (const EndedSession& ended : taken) {
        is_torn = is_torn || ended.bytes_to_host != static_cast<uint64_t>(ended.forward_id);
        numbers.insert(ended.forward_id);
      }
    }
  }
  joiner.join();
  CHECK(!is_torn);
  CHECK(static_cast<int>(numbers.size()) + refused == kWorkers * kEach);
}

TEST_CASE("session log: an engine counts the ends that find no room, and serves on") {
  constexpr uint64_t kMore = 5;
  const auto shared = std::make_shared<SessionLog>(1, [] {});
  SessionLog& log = *shared;
  Harness harness({.workers = 1});
  ForwardConfig config = UsualForward(harness.TargetAt(*Address::Parse("127.0.0.1", 1)));
  auto rules = std::make_shared<AdmissionRules>();
  rules->deny = CidrList({*Cidr::Parse("127.0.0.0/8")});
  config.admission = std::make_shared<Admission>(std::move(rules));
  config.session_log = shared;
  const Address host = harness.Add(config);
  constexpr uint64_t kAll = SessionLog::kRecordsPerWorker + kMore;
  for (uint64_t refused = 0; refused < kAll;) {
    const auto clients = ConnectMany(host, std::min<uint64_t>(kAll - refused, 100));
    refused += clients.size();
    REQUIRE(
        Eventually([&] { return harness.Count(&ForwardCounters::sessions_denied) == refused; }));
  }
  CHECK(harness.Count(&ForwardCounters::session_log_dropped) == kMore);
  std::vector<EndedSession> taken;
  CHECK(log.Take(1, taken));
  CHECK(taken.front().ending == SessionEnding::kDenied);
  const UniqueFd client = ConnectTo(host);
  CHECK(Eventually([&] { return harness.Count(&ForwardCounters::sessions_denied) == kAll + 1; }));
  CHECK(harness.Count(&ForwardCounters::session_log_dropped) == kMore);
}

}  // namespace spliceport
