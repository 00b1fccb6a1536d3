// What happens when descriptors, pipes or memory run out: nothing is lost, nothing spins, and all
// is well afterwards. In child processes, whose limits are their own.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdint>
#include <fstream>

#include "support/child.h"
#include "support/harness.h"
#include "support/processor_time.h"
#include "support/server.h"
#include "support/stays_true.h"

namespace spliceport {

namespace {

constexpr uid_t kNobody = 65'534;

TargetPtr Here(const Address& address) {
  return std::make_shared<const Target>(Target{nullptr, address});
}

// Takes all descriptors but `spare`.
class DescriptorsTaken {
 public:
  explicit DescriptorsTaken(ptrdiff_t spare) {
    getrlimit(RLIMIT_NOFILE, &limit_);
    fillers_.emplace_back(dup(0));
    const rlimit tight{static_cast<rlim_t>(fillers_.back().get()) + 20, limit_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &tight);
    for (;;) {
      UniqueFd filler(dup(0));
      if (!filler.valid()) break;
      fillers_.push_back(std::move(filler));
    }
    GiveBack(spare);
  }
  ~DescriptorsTaken() { setrlimit(RLIMIT_NOFILE, &limit_); }
  DescriptorsTaken(const DescriptorsTaken&) = delete;
  DescriptorsTaken& operator=(const DescriptorsTaken&) = delete;
  void GiveBack(ptrdiff_t count) { fillers_.erase(fillers_.end() - count, fillers_.end()); }

 private:
  rlimit limit_{};
  std::vector<UniqueFd> fillers_;
};

bool Ping(const UniqueFd& client) {
  return SendAll(client.get(), "ping") && ReadUpTo(client.get(), 4) == "ping";
}

std::vector<UniqueFd> Sockets(size_t count) {
  std::vector<UniqueFd> sockets;
  for (size_t i = 0; i < count; ++i)
    sockets.emplace_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return sockets;
}

size_t ResidentKiB() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    size_t size = 0;
    if (word == "VmRSS:" && status >> size) return size;
  }
  return 0;
}

// Sends `block` through an echoing relay; whether all of it came back.
bool Bounce(const UniqueFd& client, const std::string& block) {
  std::thread sender([&] { SendAll(client.get(), block); });
  const bool whole = ReadUpTo(client.get(), block.size()) == block;
  sender.join();
  return whole;
}

// UndefinedBehaviorSanitizer looks at an object through a pipe when it meets its type for the first
// time, so all that will have a turn without descriptors has one before: sessions in bulk that
// move, the timers of one that is refused and of a listener that pauses, the thread of Bounce.
void MeetAllTypes(const Address& server) {
  Harness harness({.workers = 2});
  const Address nobody = *Address::Parse("127.0.0.1", 1);
  const Address host = harness.AddTo(1, Protocol::kTcp, Here(server));
  (void)ReadToEnd(ConnectTo(harness.AddTo(2, Protocol::kTcp, Here(nobody))).get());
  auto opened = OpenHostSocket(Protocol::kTcp, *Address::Parse("127.0.0.1", 0), false);
  auto listener = std::make_shared<const UniqueFd>(std::move(opened.value()));
  harness.engine().Add({{3, Protocol::kTcp, listener, Here(nobody), UsualLimits()}}).Ignore();
  shutdown(listener->get(), SHUT_RDWR);
  (void)Eventually([&] { return harness.Count(&ForwardCounters::accept_pauses) > 4; });
  const std::string block(8 << 20, 'x');
  for (int i = 0; i < 100 && harness.Count(&ForwardCounters::sessions_moved) == 0; ++i) {
    std::thread other([&] { (void)Bounce(ConnectTo(host), block); });
    (void)Bounce(ConnectTo(host), block);
    other.join();
  }
}

// Each client has asked, and goes when it has its answer; how many got one.
size_t ServedInTurn(const std::vector<UniqueFd>& clients) {
  size_t served = 0;
  std::array<char, 16> buffer{};
  (void)Eventually(
      [&] {
        for (const UniqueFd& client : clients) {
          if (Receive(client.get(), buffer).count != 4) continue;
          ShutdownWrite(client.get());
          ++served;
        }
        return served == clients.size();
      },
      std::chrono::seconds(20));
  return served;
}

// Until an unprivileged user has no pipe of a useful size left; ours, so that they can be freed.
std::vector<std::unique_ptr<Pipe>> AllPipes() {
  std::vector<std::unique_ptr<Pipe>> pipes;
  for (int i = 0; i < 2'000; ++i) {
    auto pipe = Pipe::Create(1 << 20);
    if (!pipe.ok() || pipe.value()->capacity_bytes() < 64 << 10) break;
    pipes.push_back(std::move(pipe.value()));
  }
  return pipes;
}

}  // namespace

// With no descriptor at all accept(2) fails, with an odd number socket(2) for the container's side
// does.
TEST_CASE(
    "without descriptors a listener pauses and does not spin; a few serve all who wait, in turn") {
  for (const int spare : {0, 1, 3}) {
    const std::string wrong = InChild([&](Findings& findings) {
      const EchoProcess server;
      MeetAllTypes(server.address());
      Harness harness;
      const Address host = harness.AddTo(1, Protocol::kTcp, Here(server.address()));
      const auto clients = Sockets(40);
      DescriptorsTaken taken(spare);
      for (const UniqueFd& client : clients) {
        findings.Expect(StartConnect(client.get(), host).ok(), "not connected");
        findings.Expect(SendAll(client.get(), "ping"), "not sent");
      }
      findings.Expect(
          Eventually([&] { return harness.Count(&ForwardCounters::accept_pauses) > 0; }),
          "no pause");
      const int64_t micros = ProcessorMicrosOfOneSecond();
      findings.Expect(micros < 100'000, std::to_string(micros) + " us spent on waiting");
      taken.GiveBack(5);
      findings.Expect(ServedInTurn(clients) == clients.size(), "not all served");
      findings.Expect(Eventually([&] { return harness.OpenSessions() == 0; }), "sessions left");
      findings.Expect(harness.Count(&ForwardCounters::connect_failures) == 0, "some given up");
    });
    CHECK_MESSAGE(wrong == "", spare);
  }
}

TEST_CASE("without descriptors for pipes, bulk is copied") {
  const std::string wrong = InChild([](Findings& findings) {
    const EchoProcess server;
    MeetAllTypes(server.address());
    Harness harness;
    const Address host = harness.AddTo(1, Protocol::kTcp, Here(server.address()));
    const UniqueFd client = ConnectTo(host);
    findings.Expect(Ping(client), "no connection");
    const DescriptorsTaken taken(0);
    findings.Expect(Bounce(client, std::string(8 << 20, 'x')), "bytes lost");
    findings.Expect(harness.Count(&ForwardCounters::pipe_fallbacks) > 0, "it was not copied");
  });
  CHECK(wrong == "");
}

// A user's pipes are counted together, by uid; root's are not limited.
TEST_CASE(
    "an unprivileged user without pipes relays by copy, and splices again when there are some") {
  const std::string wrong = InChild([](Findings& findings) {
    const EchoProcess server;
    Harness harness({.workers = 1});
    const UniqueFd client = ConnectTo(harness.AddTo(1, Protocol::kTcp, Here(server.address())));
    findings.Expect(Ping(client), "no connection");
    // In a user namespace, where there is no such user, the test program is unprivileged already.
    (void)!setresuid(kNobody, kNobody, kNobody);
    auto pipes = AllPipes();
    findings.Expect(pipes.size() > 1, "no pipes to take");
    const std::string block(8 << 20, 'x');
    findings.Expect(Bounce(client, block), "bytes lost");
    const uint64_t copied = harness.Count(&ForwardCounters::pipe_fallbacks);
    findings.Expect(copied > 0, "it was not copied");
    pipes.clear();
    findings.Expect(Eventually([&] {
                      const uint64_t before = harness.Count(&ForwardCounters::pipe_fallbacks);
                      findings.Expect(Bounce(client, block), "bytes lost afterwards");
                      return harness.Count(&ForwardCounters::pipe_fallbacks) == before;
                    }),
                    "it never spliced again");
  });
  CHECK(wrong == "");
}

// Sanitizers keep several bytes beside each.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr int64_t kMaxStuckKiB = 1'500;
#else
constexpr int64_t kMaxStuckKiB = 300;
#endif

TEST_CASE("peers that never read hold little memory, and hinder nobody") {
  const std::string wrong = InChild([](Findings& findings) {
    constexpr int64_t kStuck = 100;
    const EchoProcess server;
    Harness harness;
    const Address host = harness.AddTo(1, Protocol::kTcp, Here(server.address()));
    const UniqueFd other = ConnectTo(host);
    findings.Expect(Bounce(other, std::string(4 << 20, 'x')), "no connection");
    const auto stuck = Sockets(kStuck);
    const auto before = static_cast<int64_t>(ResidentKiB());
    const std::string block(256 << 10, 'y');
    for (const UniqueFd& client : stuck)
      findings.Expect(StartConnect(client.get(), host).ok(), "not connected");
    // They send until nobody takes any more.
    const auto relayed = [&] { return harness.Count(&ForwardCounters::bytes_to_host); };
    const auto push = [&] {
      for (const UniqueFd& client : stuck) {
        while (Send(client.get(), block).moved()) {
        }
      }
    };
    findings.Expect(ComesToRest(relayed, push, std::chrono::seconds(60)), "it never stopped");
    findings.Expect(harness.OpenSessions() == kStuck + 1, "sessions lost");
    const int64_t grown = static_cast<int64_t>(ResidentKiB()) - before;
    findings.Expect(grown < kStuck * kMaxStuckKiB, std::to_string(grown) + " KiB");
    // A busy machine keeps a client waiting now and then; those that are stuck would do so each
    // time.
    int64_t shortest = INT64_MAX;
    for (int i = 0; i < 10; ++i) {
      const int64_t asked = NowMicros();
      findings.Expect(Ping(other), "another client was hindered");
      shortest = std::min(shortest, NowMicros() - asked);
    }
    findings.Expect(shortest < 1'000'000, "another client had to wait");
  });
  CHECK(wrong == "");
}

}  // namespace spliceport
