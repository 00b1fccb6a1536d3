// Endings that a read does not tell of, or that come when the relay looks elsewhere.

#include <doctest/doctest.h>
#include <poll.h>

#include <atomic>

#include "support/harness.h"
#include "support/server.h"
#include "support/stays_true.h"

namespace spliceport {

namespace {

void Reset(UniqueFd fd) { ResetOnClose(fd.get()); }

// Whether the connection is gone, FIN and RST, without a read or a write.
bool IsGone(int fd) {
  pollfd poller{fd, 0, 0};
  return poll(&poller, 1, 0) == 1 && (poller.revents & POLLHUP) != 0;
}

bool WaitsForever(int fd) {
  return Eventually([&] { return IsGone(fd); }, std::chrono::seconds(15));
}

}  // namespace

TEST_CASE("tcp: a client's RST behind its FIN reaches a server that only waits") {
  Harness harness;
  std::atomic<bool> ended = false;
  std::atomic<bool> gone = false;
  {
    Server server(harness.netns(), [&](int fd) {
      ended = ReadToEnd(fd).error == 0;
      gone = WaitsForever(fd);
    });
    UniqueFd client = ConnectTo(harness.Add(1, Protocol::kTcp, server.address()));
    REQUIRE(SendAll(client.get(), "bye"));
    ShutdownWrite(client.get());
    REQUIRE(Eventually([&] { return ended.load(); }));
    Reset(std::move(client));
    CHECK(Eventually([&] { return harness.OpenSessions() == 0; }));
  }
  CHECK(gone);
  CHECK(harness.Count(&ForwardCounters::sessions_reset) == 1);
}

TEST_CASE("tcp: a server's RST behind its FIN reaches a client that only waits") {
  Harness harness;
  std::atomic<bool> go_on = false;
  Server server(harness.netns(), [&](int fd) {
    SendAll(fd, "bye");
    ShutdownWrite(fd);
    (void)Eventually([&] { return go_on.load(); });
    ResetOnClose(fd);
  });
  const UniqueFd client = ConnectTo(harness.Add(1, Protocol::kTcp, server.address()));
  const Ending ending = ReadToEnd(client.get());
  CHECK(ending.bytes == "bye");
  CHECK(ending.error == 0);
  CHECK_FALSE(IsGone(client.get()));
  go_on = true;
  CHECK(WaitsForever(client.get()));
  CHECK(Eventually([&] { return harness.OpenSessions() == 0; }));
}

TEST_CASE("tcp: a RST ends a session whose other side takes nothing") {
  Harness harness;
  std::atomic<bool> gone = false;
  {
    Server server(harness.netns(), [&](int fd) { gone = WaitsForever(fd); });
    UniqueFd client = ConnectTo(harness.Add(1, Protocol::kTcp, server.address()));
    const std::string block(1 << 20, 'x');
    const auto relayed = [&] { return harness.Count(&ForwardCounters::bytes_to_container); };
    // Until the relay is stuck as well.
    REQUIRE(ComesToRest(relayed, [&] {
      while (Send(client.get(), block).moved()) {
      }
    }));
    Reset(std::move(client));
    CHECK(Eventually([&] { return harness.OpenSessions() == 0; }, std::chrono::seconds(12)));
  }
  CHECK(gone);
}

// It takes longer than the patience with a client that takes nothing.
TEST_CASE("tcp: a client that reads slowly gets all that came before a server's RST") {
  Harness harness;
  const std::string block(1 << 20, 'x');
  Server server(harness.netns(), [&](int fd) {
    SendAll(fd, block);
    (void)Eventually([&] { return UnacknowledgedBytes(fd) == 0; });
    ResetOnClose(fd);
  });
  auto client = OpenStreamSocket(false);
  REQUIRE(client.ok());
  const int fd = client.value().get();
  const int room = 32 << 10;
  REQUIRE(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)) == 0);
  REQUIRE(StartConnect(fd, harness.Add(1, Protocol::kTcp, server.address())).ok());
  constexpr size_t kBytesAtOnce = 16 << 10;
  size_t size = 0;
  while (size < block.size()) {
    const size_t came = ReadUpTo(fd, kBytesAtOnce).size();
    size += came;
    if (came < kBytesAtOnce) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(120));
  }
  CHECK(size == block.size());
  CHECK(ReadToEnd(fd).error == ECONNRESET);
}

TEST_CASE("tcp: a FIN and a RST that come together are passed on as both") {
  Harness harness;
  Server server(harness.netns(), [](int fd) {
    SendAll(fd, "bye");
    ShutdownWrite(fd);
    ResetOnClose(fd);
  });
  const Address host = harness.Add(1, Protocol::kTcp, server.address());
  const std::string block(300'000, 'x');
  for (int i = 0; i < 30; ++i) {
    const UniqueFd client = ConnectTo(host);
    (void)Send(client.get(), block);
    const Ending ending = ReadToEnd(client.get());
    CHECK(ending.bytes == "bye");
    CHECK(ending.error == 0);
    REQUIRE(WaitsForever(client.get()));
  }
}

// A RST that comes before the relay has seen the connection made is none of a port where nobody
// listens.
TEST_CASE("tcp: a server that resets what it accepts is connected to once per client") {
  Harness harness({.workers = 1});
  std::atomic<int> accepted = 0;
  Server server(harness.netns(), [&](int fd) {
    ++accepted;
    SendAll(fd, "no");
    ResetOnClose(fd);
  });
  const Address host = harness.Add(1, Protocol::kTcp, server.address());
  constexpr int kClients = 300;
  const std::vector<UniqueFd> clients = ConnectMany(host, kClients);
  for (const UniqueFd& client : clients) {
    const Ending ending = ReadToEnd(client.get());
    CHECK(ending.bytes == "no");
    CHECK(ending.error == ECONNRESET);
  }
  CHECK(accepted == kClients);
  CHECK(harness.Count(&ForwardCounters::connect_retries) == 0);
}

}  // namespace spliceport
