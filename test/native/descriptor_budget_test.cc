// How the descriptors of a process are shared out. In child processes, whose limits are their own.

#include "base/descriptor_budget.h"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include "relay/pipe.h"
#include "support/child.h"
#include "support/harness.h"
#include "support/server.h"
#include "support/udp_echo.h"

namespace spliceport {

namespace {

constexpr int kLimit = 256;
// New flows have none from here on: the last 32 are control's.
constexpr int kFirstReserved = 224;

void SetLimit() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = kLimit;
  setrlimit(RLIMIT_NOFILE, &limit);
}

std::vector<UniqueFd> TakeUpToReserve() {
  std::vector<UniqueFd> taken;
  do {
    taken.emplace_back(dup(0));
  } while (taken.back().get() < kFirstReserved - 1);
  return taken;
}

bool Ping(const UniqueFd& client) {
  return SendAll(client.get(), "ping") && ReadUpTo(client.get(), 4) == "ping";
}

}  // namespace

TEST_CASE("descriptors: a udp client without one gets that of the flow used least recently") {
  const std::string wrong = InChild([](Findings& findings) {
    SetLimit();
    Harness harness({.workers = 1});
    const UdpEcho server(harness.netns());
    const UdpEcho other(harness.netns());
    const TargetPtr target = harness.TargetAt(other.address());
    const Address one = harness.Add(1, Protocol::kUdp, server.address());
    const Address two = harness.Add(2, Protocol::kUdp, server.address());
    const UniqueFd first = ClientOf(one);
    const UniqueFd second = ClientOf(two);
    const UniqueFd third = ClientOf(two);
    findings.Expect(Ping(first) && Ping(second), "no flows");
    const auto taken = TakeUpToReserve();
    findings.Expect(Ping(third), "no flow without a descriptor");
    const auto sessions = harness.engine().Sessions();
    findings.Expect(sessions.size() == 2, "none ended, or more than one");
    for (const SessionInfo& session : sessions)
      findings.Expect(session.forward_id == 2, "the oldest lives on");
    // It has a descriptor already.
    harness.engine().Retarget({{2, target}});
    findings.Expect(Ping(second) && Ping(third), "lost on the way to another target");
    findings.Expect(harness.Count(&ForwardCounters::flows_displaced) == 1, "not one displaced");
  });
  CHECK(wrong == "");
}

TEST_CASE("descriptors: a worker without flows gets the descriptor of another's") {
  const std::string wrong = InChild([](Findings& findings) {
    SetLimit();
    Harness harness({.workers = 2});
    const UdpEcho server(harness.netns());
    const UniqueFd here = ClientOf(harness.Add(2, Protocol::kUdp, server.address()));
    const UniqueFd there = ClientOf(harness.Add(3, Protocol::kUdp, server.address()));
    findings.Expect(Ping(here), "no flow");
    const auto taken = TakeUpToReserve();
    // A datagram is lost meanwhile, as datagrams may be.
    findings.Expect(SendAll(there.get(), "lost"), "not sent");
    findings.Expect(
        Eventually([&] { return harness.Count(&ForwardCounters::flows_displaced) == 1; }),
        "none ended");
    findings.Expect(Ping(there), "no flow afterwards");
    findings.Expect(harness.OpenSessions() == 1, "not one flow");
  });
  CHECK(wrong == "");
}

TEST_CASE("descriptors: all pools of a process have so many pipes, and get back those that end") {
  const std::string wrong = InChild([](Findings& findings) {
    constexpr size_t kMax = kLimit / 16;
    SetLimit();
    findings.Expect(DescriptorBudget::OfProcess().Measure().ok(), "the limits cannot be read");
    PipePool one(4'096);
    PipePool two(4'096);
    std::vector<std::unique_ptr<Pipe>> pipes;
    while (auto pipe = (pipes.size() % 2 == 0 ? one : two).Take())
      pipes.push_back(std::move(pipe));
    findings.Expect(pipes.size() == kMax, std::to_string(pipes.size()) + " pipes");
    findings.Expect(!one.Take() && !two.Take(), "more than there may be");
    one.Give(std::move(pipes.back()));
    pipes.pop_back();
    findings.Expect(two.Take() != nullptr, "kept by a pool that has no use for it");
  });
  CHECK(wrong == "");
}

TEST_CASE("descriptors: pipes have half of the memory that one user's may take") {
  DescriptorBudget budget;
  REQUIRE(budget.Measure().ok());
  std::vector<BudgetPlace> places;
  constexpr size_t kHuge = size_t{1} << 40;
  places.push_back(budget.TakePipe(kHuge));
  CHECK(places.back().held());
  CHECK(!budget.TakePipe(kHuge).held());
  places.clear();
  CHECK(budget.TakePipe(kHuge).held());
}

}  // namespace spliceport
