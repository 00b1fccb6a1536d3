// Calls that fail for a reason of this machine's: what is cut off never passes for whole, and bulk
// goes on as a copy. In child processes, since a refusal is for good.

#include <doctest/doctest.h>

#include <array>

#include "support/child.h"
#include "support/harness.h"
#include "support/processor_time.h"
#include "support/refusal.h"
#include "support/server.h"
#include "support/stays_true.h"
#include "support/udp_ends.h"

namespace spliceport {

namespace {

// A size that the relay alone receives with: what a copy reads at most.
constexpr uint32_t kRelayReads = 16 << 10;
// The flags with which it splices.
constexpr unsigned kFlags = 5;
constexpr uint32_t kSpliceFlags = 3;
// The flags with which it accepts.
constexpr uint32_t kAcceptFlags = SOCK_CLOEXEC | SOCK_NONBLOCK;
// What no peer can be to blame for.
constexpr std::array kLocalErrors = {ENOMEM, ENOBUFS, EIO, EPERM, EINVAL};

std::string Pattern(size_t size) {
  std::string text(size, '\0');
  for (size_t i = 0; i < size; ++i)
    text[i] = static_cast<char>(i % 251);
  return text;
}

// A forward in this namespace, and a connection through it with both ends in hand.
class Relay {
 public:
  Relay() {
    auto opened = OpenHostSocket(Protocol::kTcp, *Address::Parse("127.0.0.1", 0), false);
    const Address target = LocalAddress(opened.value().get()).value();
    const Address host =
        harness.AddTo(1, Protocol::kTcp, std::make_shared<const Target>(Target{nullptr, target}));
    client = ConnectTo(host);
    Address peer;
    (void)Eventually([&] { return Accept(opened.value().get(), server, peer).moved(); });
  }
  // Sends until the relay is full too; how much.
  size_t Stuff(const std::string& bytes) {
    size_t sent = 0;
    const auto relayed = [&] { return harness.Count(&ForwardCounters::bytes_to_host); };
    (void)ComesToRest(relayed, [&] {
      for (;;) {
        const Io io = Send(server.get(), std::span<const char>(bytes).subspan(sent));
        if (!io.moved()) break;
        sent += io.count;
      }
    });
    return sent;
  }
  void ExpectBothReset(Findings& findings) {
    findings.Expect(ReadToEnd(client.get()).error == ECONNRESET, "the client saw no reset");
    findings.Expect(ReadToEnd(server.get()).error == ECONNRESET, "the server saw no reset");
    findings.Expect(harness.Count(&ForwardCounters::local_failures) == 1, "not counted");
    findings.Expect(harness.Count(&ForwardCounters::sessions_reset) == 0, "blames a peer");
  }

  Harness harness{{.workers = 1}};
  UniqueFd client;
  UniqueFd server;
};

}  // namespace

TEST_CASE("what cannot be sent for a reason of this machine's never ends as if it were all") {
  for (const int error : kLocalErrors) {
    const std::string wrong = InChild([&](Findings& findings) {
      Relay relay;
      findings.Expect(SendAll(relay.server.get(), "so far"), "not sent");
      findings.Expect(ReadUpTo(relay.client.get(), 6) == "so far", "no connection");
      const std::string rest = "the rest";
      findings.Expect(Refuse(SYS_sendto, error, 2, static_cast<uint32_t>(rest.size())),
                      "no refusal");
      findings.Expect(write(relay.server.get(), rest.data(), rest.size()) > 0, "not sent");
      relay.ExpectBothReset(findings);
    });
    CHECK_MESSAGE(wrong == "", error);
  }
}

TEST_CASE(
    "what cannot be received for a reason of this machine's resets both ends, and is counted") {
  for (const int error : kLocalErrors) {
    const std::string wrong = InChild([&](Findings& findings) {
      Relay relay;
      findings.Expect(SendAll(relay.server.get(), "so far"), "not sent");
      findings.Expect(ReadUpTo(relay.client.get(), 6) == "so far", "no connection");
      findings.Expect(Refuse(SYS_recvfrom, error, 2, kRelayReads), "no refusal");
      findings.Expect(SendAll(relay.server.get(), "and on"), "not sent");
      relay.ExpectBothReset(findings);
    });
    CHECK_MESSAGE(wrong == "", error);
  }
}

TEST_CASE("where splice(2) is refused, bulk is copied") {
  for (const int error : {EPERM, ENOSYS, EINVAL, ENOMEM, EIO}) {
    const std::string wrong = InChild([&](Findings& findings) {
      Relay relay;
      findings.Expect(Refuse(SYS_splice, error, kFlags, kSpliceFlags), "no refusal");
      const std::string bytes = Pattern(8 << 20);
      std::thread sender([&] {
        SendAll(relay.server.get(), bytes);
        ShutdownWrite(relay.server.get());
      });
      const Ending ending = ReadToEnd(relay.client.get());
      sender.join();
      findings.Expect(ending.error == 0, "it ended with " + std::to_string(ending.error));
      findings.Expect(ending.bytes == bytes, "bytes lost");
      findings.Expect(relay.harness.Count(&ForwardCounters::pipe_fallbacks) > 0, "not counted");
      findings.Expect(relay.harness.Count(&ForwardCounters::local_failures) == 0, "a failure");
    });
    CHECK_MESSAGE(wrong == "", error);
  }
}

TEST_CASE("what is in a pipe when splice(2) begins to fail is passed on") {
  const std::string wrong = InChild([](Findings& findings) {
    Relay relay;
    const std::string bytes = Pattern(64 << 20);
    const size_t sent = relay.Stuff(bytes);
    findings.Expect(sent > 0 && sent < bytes.size(), "never full");
    findings.Expect(Refuse(SYS_splice, ENOMEM, kFlags, kSpliceFlags), "no refusal");
    ShutdownWrite(relay.server.get());
    const Ending ending = ReadToEnd(relay.client.get());
    findings.Expect(ending.error == 0, "it ended with " + std::to_string(ending.error));
    findings.Expect(ending.bytes == bytes.substr(0, sent), "bytes lost");
    findings.Expect(relay.harness.Count(&ForwardCounters::pipe_fallbacks) > 0, "not counted");
  });
  CHECK(wrong == "");
}

TEST_CASE("where accept(2) keeps failing, a listener pauses longer and longer, and is counted") {
  for (const int error : {EPERM, EIO, EPROTO, ECONNABORTED, EOPNOTSUPP}) {
    const std::string wrong = InChild([&](Findings& findings) {
      Harness harness({.workers = 1});
      const Address host = harness.Add(1, Protocol::kTcp, *Address::Parse("127.0.0.1", 1));
      findings.Expect(Refuse(SYS_accept4, error, 3, kAcceptFlags), "no refusal");
      const UniqueFd client = ConnectTo(host);
      const int64_t micros = ProcessorMicrosOfOneSecond();
      findings.Expect(micros < 50'000, std::to_string(micros) + " us spent on nothing");
      const uint64_t pauses = harness.Count(&ForwardCounters::accept_pauses);
      // 20, 40, 80, 160, 320 and 640 ms, and some for a busy machine. Without growth it would be
      // 50.
      findings.Expect(pauses > 0 && pauses <= 10, std::to_string(pauses) + " pauses");
    });
    CHECK_MESSAGE(wrong == "", error);
  }
}

TEST_CASE(
    "where recvmmsg(2) keeps failing, a UDP port pauses, its flows end, and both are counted") {
  for (const int error : {EPERM, EIO, ENOMEM}) {
    const std::string wrong = InChild([&](Findings& findings) {
      Harness harness({.workers = 1});
      const Address any = *Address::Parse("127.0.0.1", 0);
      std::unique_ptr<UdpEnd> server;
      InNamespace(harness.netns(), [&] { server = std::make_unique<UdpEnd>(any, false); });
      const Address host = harness.Add(1, Protocol::kUdp, server->address());
      const UdpEnd client(any, false);
      Address flow;
      findings.Expect(client.Send(host, "hello"), "not sent");
      findings.Expect(
          Eventually([&] {
            return server->Receive([&](const Address& peer, std::string_view) { flow = peer; }) > 0;
          }),
          "not relayed");
      findings.Expect(Refuse(SYS_recvmmsg, error, 3, MSG_DONTWAIT), "no refusal");
      findings.Expect(server->Send(flow, "answer") && client.Send(host, "more"), "not sent");
      const int64_t micros = ProcessorMicrosOfOneSecond();
      findings.Expect(micros < 50'000, std::to_string(micros) + " us spent on nothing");
      const uint64_t pauses = harness.Count(&ForwardCounters::accept_pauses);
      findings.Expect(pauses > 0 && pauses <= 10, std::to_string(pauses) + " pauses");
      findings.Expect(harness.Count(&ForwardCounters::local_failures) == 1, "no flow has ended");
      findings.Expect(harness.Count(&ForwardCounters::sessions_closed) == 1, "it is still there");
    });
    CHECK_MESSAGE(wrong == "", error);
  }
}

// A forward whose listener another owner shuts down, until it pauses for long, and then has listen
// again.
struct Recovered {
  Harness harness{{.workers = 1}};
  Server server{harness.netns(), Echo};
  std::shared_ptr<const UniqueFd> listener;

  Recovered() {
    auto opened = OpenHostSocket(Protocol::kTcp, *Address::Parse("127.0.0.1", 0), false);
    REQUIRE(opened.ok());
    listener = std::make_shared<const UniqueFd>(std::move(opened.value()));
    REQUIRE(
        harness.engine()
            .Add({{1, Protocol::kTcp, listener, harness.TargetAt(server.address()), UsualLimits()}})
            .ok());
    shutdown(listener->get(), SHUT_RDWR);
    // The next pause takes 320 ms.
    REQUIRE(Eventually([&] { return pauses() >= 5; }));
    REQUIRE(listen(listener->get(), 16) == 0);
  }

  uint64_t pauses() { return harness.Count(&ForwardCounters::accept_pauses); }
  // The kernel has chosen another port.
  UniqueFd Connect() const { return ConnectTo(LocalAddress(listener->get()).value()); }
};

TEST_CASE("a listener that has failed for long serves within a pause of its recovery") {
  Recovered forward;
  const UniqueFd client = forward.Connect();
  REQUIRE(SendAll(client.get(), "ping"));
  CHECK(ReadUpTo(client.get(), 4) == "ping");
  const uint64_t before = forward.pauses();
  shutdown(forward.listener->get(), SHUT_RDWR);
  // From the shortest pause on: the third begins after 60 ms, and not after the 1,640 ms of longer
  // ones.
  CHECK(
      Eventually([&] { return forward.pauses() >= before + 3; }, std::chrono::milliseconds(1'200)));
}

TEST_CASE("a drain takes those who wait at a listener that pauses") {
  Recovered forward;
  const UniqueFd client = forward.Connect();
  forward.harness.engine().Remove({1}, 5'000'000);
  REQUIRE(SendAll(client.get(), "ping"));
  CHECK(ReadUpTo(client.get(), 4) == "ping");
}

}  // namespace spliceport
