// No more threads to be had (pids.max, RLIMIT_NPROC): what starts one fails, and nothing aborts. In
// child processes, since a refusal is for good.

#include <sched.h>

#include <doctest/doctest.h>

#include "net/host_sockets.h"
#include "routes/transparent.h"
#include "support/child.h"
#include "support/harness.h"
#include "support/refusal.h"
#include "support/server.h"

namespace spliceport {

namespace {

class NoEvents final : public EngineEvents {
  void OnRemoved(int /*id*/) override {}
  void OnConnectFailed(int /*id*/, const ConnectFailure& /*failure*/) override {}
};

// The first arguments of clone3(2), the size of its structure.
constexpr uint32_t kCloneArgsBytes = 88;

bool RefuseThreads() { return Refuse(SYS_clone3, EAGAIN, 1, kCloneArgsBytes); }

bool IsOutOfThreads(SysError error) {
  return error.code == -EAGAIN && std::string(error.syscall) == "pthread_create";
}

}  // namespace

TEST_CASE("without threads to be had, an engine and what runs in a namespace fail with a reason") {
  const std::string wrong = InChild([](Findings& findings) {
    findings.Expect(RefuseThreads(), "no refusal");
    NoEvents events;
    const auto engine = Engine::Create(UsualSettings(), events);
    findings.Expect(IsOutOfThreads(engine.error()), "an engine started");
    findings.Expect(IsOutOfThreads(ProbeNetns(-1).error()), "a probe ran");
    findings.Expect(IsOutOfThreads(PrepareTransparency(-1).error()), "a namespace was prepared");
  });
  CHECK(wrong == "");
}

TEST_CASE("without threads to be had, many host sockets are opened on one") {
  const std::string wrong = InChild([](Findings& findings) {
    findings.Expect(RefuseThreads(), "no refusal");
    std::vector<HostSocketRequest> requests;
    AppendRequests({Protocol::kTcp, *Address::Parse("127.0.0.1", 0), false}, 200, requests);
    const HostSockets opened = OpenHostSockets(requests);
    findings.Expect(!opened.failure && opened.sockets.size() == 200, "not all were opened");
  });
  CHECK(wrong == "");
}

TEST_CASE("an engine that has started needs no more threads, whatever it does") {
  const std::string wrong = InChild([](Findings& findings) {
    Harness harness;
    const EchoProcess server(harness.netns());
    findings.Expect(RefuseThreads(), "no refusal");
    for (const SourceAddress source :
         {SourceAddress::kContainer, SourceAddress::kTransparent, SourceAddress::kProxyV2}) {
      ForwardConfig config = UsualForward(harness.TargetAt(server.address()));
      config.id = static_cast<int>(source) + 1;
      config.source_address = source;
      const Address host = harness.Add(config);
      const UniqueFd client = ConnectTo(host);
      findings.Expect(SendAll(client.get(), "ping"), "not sent");
      findings.Expect(ReadUpTo(client.get(), 4).size() == 4, "no answer");
      findings.Expect(harness.engine().Sessions().size() == 1, "not listed");
      harness.engine().Retarget({{config.id, config.target}});
      harness.engine().Remove({config.id}, 0);
    }
  });
  CHECK(wrong == "");
}

}  // namespace spliceport
