// Sessions that move from one worker to another when they turn to bulk, or have lasted.

#include <doctest/doctest.h>

#include <atomic>
#include <latch>
#include <random>
#include <thread>
#include <vector>

#include "support/harness.h"
#include "support/server.h"

namespace spliceport {

namespace {

// One accepts, so the others get sessions by moves alone.
constexpr UsualSettings kOneAcceptor{.workers = 3, .acceptors = 1};

std::string Pattern(size_t size, size_t seed) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i)
    text[i] = static_cast<char>((i + seed) % 251);
  return text;
}

struct Outcome {
  bool exact = false;
  bool exact_so_far = false;  // What came back is the beginning of what was sent.
  int error = 0;
};

// Bulk in both directions at once; `then` runs when the first bytes have come back.
Outcome Exchange(const Address& host, const std::string& request,
                 const std::function<void()>& then) {
  const UniqueFd client = ConnectTo(host);
  std::thread sender([&] {
    SendAll(client.get(), request);
    ShutdownWrite(client.get());
  });
  const std::string first = ReadUpTo(client.get(), 1);
  then();
  const Ending rest = ReadToEnd(client.get());
  sender.join();
  const std::string reply = first + rest.bytes;
  return {reply == request, request.starts_with(reply), rest.error};
}

std::vector<Outcome> ExchangeAtOnce(
    const Address& host, size_t clients, size_t bytes, const std::function<void()>& then = [] {}) {
  std::vector<Outcome> outcomes(clients);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < clients; ++i) {
    threads.emplace_back([&, i] { outcomes[i] = Exchange(host, Pattern(bytes, i), then); });
  }
  for (std::thread& thread : threads)
    thread.join();
  return outcomes;
}

// Clients that are all there before the first asks, and then ask in turn; whether each had its own
// words back each time.
bool AskInTurn(const Address& host, size_t clients, size_t questions) {
  const std::vector<UniqueFd> connections = ConnectMany(host, clients);
  for (size_t question = 0; question < questions; ++question) {
    for (size_t i = 0; i < clients; ++i) {
      const std::string words = Pattern(100, question * clients + i);
      const int client = connections[i].get();
      if (!SendAll(client, words) || ReadUpTo(client, words.size()) != words) return false;
    }
  }
  return true;
}

// A question is two events or, when the answer comes with it, one.
constexpr size_t kQuestionsTogether = 25;
size_t QuestionsOf(size_t client) { return 31 + client % 34; }

}  // namespace

TEST_CASE("sessions that last are spread over the workers, and lose nothing on the way") {
  Harness harness(kOneAcceptor);
  Server server(harness.netns(), Echo);
  const Address host = harness.Add(1, Protocol::kTcp, server.address());
  CHECK(AskInTurn(host, Balance::kMessagesKeptTogether + 8, 200));
  // The worker that accepts keeps as many as are best together, and the other two share the rest.
  CHECK(harness.Count(&ForwardCounters::sessions_moved) == 8);
  CHECK(Eventually([&] { return harness.OpenSessions() == 0; }));
  CHECK(harness.Count(&ForwardCounters::bytes_to_host) ==
        (Balance::kMessagesKeptTogether + 8) * 200 * 100);
}

// Each client ends a little after the event with which its session counts as one that lasts, so
// some end on their way.
TEST_CASE("sessions that end while they are spread end as they should") {
  constexpr size_t kClients = 48;
  Harness harness(kOneAcceptor);
  Server server(harness.netns(), Echo);
  const Address host = harness.Add(1, Protocol::kTcp, server.address());
  std::latch all_talk(kClients);
  std::vector<std::string> replies(kClients);
  std::vector<std::thread> clients;
  for (size_t i = 0; i < kClients; ++i) {
    clients.emplace_back([&, i] {
      const UniqueFd client = ConnectTo(host);
      for (size_t question = 0; question < QuestionsOf(i); ++question) {
        if (question == kQuestionsTogether) all_talk.arrive_and_wait();
        SendAll(client.get(), "ping");
        replies[i] += ReadUpTo(client.get(), 4);
      }
      SendAll(client.get(), "last");
      if (i % 2 != 0) return ResetOnClose(client.get());
      ShutdownWrite(client.get());
      replies[i] += ReadToEnd(client.get()).bytes;
    });
  }
  for (std::thread& client : clients)
    client.join();
  for (size_t i = 0; i < kClients; ++i) {
    std::string expected;
    for (size_t question = 0; question < QuestionsOf(i); ++question)
      expected += "ping";
    CHECK(replies[i] == expected + (i % 2 == 0 ? "last" : ""));
  }
  CHECK(Eventually([&] { return harness.OpenSessions() == 0; }));
  CHECK(harness.Count(&ForwardCounters::sessions_moved) > 0);
}

TEST_CASE("sessions that end after a few messages stay where they were accepted") {
  Harness harness(kOneAcceptor);
  Server server(harness.netns(), Echo);
  const Address host = harness.Add(1, Protocol::kTcp, server.address());
  CHECK(AskInTurn(host, 100, 20));
  CHECK(harness.Count(&ForwardCounters::sessions_moved) == 0);
}

TEST_CASE("two sessions that last get a worker each") {
  Harness harness(kOneAcceptor);
  Server server(harness.netns(), Echo);
  const Address host = harness.Add(1, Protocol::kTcp, server.address());
  CHECK(AskInTurn(host, 2, 500));
  CHECK(harness.Count(&ForwardCounters::sessions_moved) == 1);
}

// The second has gone elsewhere before the third was one that lasts, and comes back.
TEST_CASE("a few sessions that last come together, and stay") {
  Harness harness(kOneAcceptor);
  Server server(harness.netns(), Echo);
  const Address host = harness.Add(1, Protocol::kTcp, server.address());
  CHECK(AskInTurn(host, Balance::kMessagesKeptTogether, 500));
  CHECK(harness.Count(&ForwardCounters::sessions_moved) == 2);
}

TEST_CASE("sessions in bulk move to other workers, and lose nothing on the way") {
  Harness harness(kOneAcceptor);
  Server server(harness.netns(), Echo);
  const Address host = harness.Add(1, Protocol::kTcp, server.address());
  for (const Outcome& outcome : ExchangeAtOnce(host, 6, 8 << 20)) {
    CHECK(outcome.error == 0);
    CHECK(outcome.exact);
  }
  CHECK(harness.Count(&ForwardCounters::sessions_moved) >= 2);
  CHECK(Eventually([&] { return harness.OpenSessions() == 0; }));
  CHECK(harness.Count(&ForwardCounters::bytes_to_host) == 6 * (8 << 20));
}

TEST_CASE("sessions that have moved give back the places that they were let in to") {
  Harness harness(kOneAcceptor);
  Server server(harness.netns(), Echo);
  AdmissionRules rules;
  rules.max_sessions = 6;
  ForwardConfig config = UsualForward(harness.TargetAt(server.address()));
  config.admission =
      std::make_shared<Admission>(std::make_shared<const AdmissionRules>(std::move(rules)));
  const Address host = harness.Add(config);
  for (int round = 0; round < 2; ++round) {
    for (const Outcome& outcome : ExchangeAtOnce(host, 6, 8 << 20))
      CHECK(outcome.exact);
    CHECK(Eventually([&] { return harness.OpenSessions() == 0; }));
  }
  CHECK(harness.Count(&ForwardCounters::sessions_moved) >= 2);
  CHECK(harness.Count(&ForwardCounters::sessions_over_limit) == 0);
}

TEST_CASE("a lone session in bulk stays where it is") {
  Harness harness(kOneAcceptor);
  Server server(harness.netns(), Echo);
  const Address host = harness.Add(1, Protocol::kTcp, server.address());
  CHECK(ExchangeAtOnce(host, 1, 8 << 20)[0].exact);
  CHECK(harness.Count(&ForwardCounters::sessions_moved) == 0);
}

TEST_CASE("a forward that is removed while its sessions move lets them finish") {
  constexpr int64_t kDrainMicros = 20'000'000;
  for (int round = 0; round < 8; ++round) {
    Harness harness(kOneAcceptor);
    Server server(harness.netns(), Echo);
    const Address host = harness.Add(1, Protocol::kTcp, server.address());
    std::atomic<size_t> begun = 0;
    const auto outcomes = ExchangeAtOnce(host, 4, 2 << 20, [&] {
      // When all are there, since removal refuses those that come later.
      if (++begun == 4) harness.engine().Remove({1}, kDrainMicros);
    });
    for (const Outcome& outcome : outcomes) {
      CHECK(outcome.error == 0);
      CHECK(outcome.exact);
    }
    CHECK(Eventually([&] { return harness.Removals(1) == 1; }));
    CHECK(harness.OpenSessions() == 0);
  }
}

TEST_CASE("a forward that is removed at once takes sessions that move with it, and is gone once") {
  for (int round = 0; round < 8; ++round) {
    Harness harness(kOneAcceptor);
    Server server(harness.netns(), Echo);
    const Address host = harness.Add(1, Protocol::kTcp, server.address());
    std::atomic<size_t> begun = 0;
    ExchangeAtOnce(host, 4, 8 << 20, [&] {
      if (++begun == 4) harness.engine().Remove({1}, 0);
    });
    CHECK(Eventually([&] { return harness.Removals(1) == 1; }));
    CHECK(Eventually([&] { return harness.OpenSessions() == 0; }));
    CHECK_FALSE(harness.engine().Has(1));
  }
}

// A session that comes back, because the part that it was sent to has gone, is its first worker's
// again.
TEST_CASE("no worker counts a session that is gone, whatever was removed while it moved") {
  Harness harness(kOneAcceptor);
  Server server(harness.netns(), Echo);
  std::minstd_rand random(7);
  for (int id = 1; id <= 40; ++id) {
    const Address host = harness.Add(id, Protocol::kTcp, server.address());
    const size_t clients = 2 + random() % 5;
    const size_t remove_after = 1 + random() % clients;
    const int64_t drain_micros = random() % 4 == 0 ? 0 : 30'000'000;
    std::atomic<size_t> begun = 0;
    ExchangeAtOnce(host, clients, 2 << 20, [&] {
      if (++begun == remove_after) harness.engine().Remove({id}, drain_micros);
    });
    CHECK(Eventually([&] { return harness.Removals(id) == 1; }));
  }
  CHECK(harness.OpenSessions() == 0);
  for (size_t worker = 0; worker < 3; ++worker) {
    CHECK(harness.engine().balance().At(worker, SessionKind::kMessages) == 0);
    CHECK(harness.engine().balance().At(worker, SessionKind::kBulk) == 0);
  }
}

TEST_CASE("an engine that closes while sessions move ends them all") {
  for (int round = 0; round < 8; ++round) {
    Harness harness(kOneAcceptor);
    Server server(harness.netns(), Echo);
    const Address host = harness.Add(1, Protocol::kTcp, server.address());
    std::atomic<bool> closed = false;
    for (const Outcome& outcome : ExchangeAtOnce(host, 4, 8 << 20, [&] {
           if (!closed.exchange(true)) harness.engine().Close();
         })) {
      CHECK(outcome.exact_so_far);
      CHECK(outcome.error != ETIMEDOUT);
    }
  }
}

}  // namespace spliceport
