#include "net/socket.h"

#include <fcntl.h>

#include <doctest/doctest.h>

#include "support/support.h"

namespace spliceport {

namespace {

Address Parsed(const std::string& text, uint16_t port = 0) { return *Address::Parse(text, port); }

uint16_t PortOf(int fd) {
  auto address = LocalAddress(fd);
  REQUIRE(address.ok());
  return address.value().port();
}

int Option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof(value);
  getsockopt(fd, level, name, &value, &size);
  return value;
}

// Connects to `address`; whether a listener took it, or the kernel refused it.
bool Reachable(int listener, const Address& address) {
  auto client = OpenStreamSocket(address.is_v6());
  REQUIRE(client.ok());
  const int fd = client.value().get();
  if (!StartConnect(fd, address).ok()) return false;
  UniqueFd connection;
  Address peer;
  bool refused = false;
  REQUIRE(Eventually([&] {
    refused = Option(fd, SOL_SOCKET, SO_ERROR) == ECONNREFUSED;
    return refused || Accept(listener, connection, peer).moved();
  }));
  return !refused;
}

}  // namespace

TEST_CASE("every socket is close-on-exec and does not block") {
  const TcpPair pair = ConnectedTcpPair();
  auto listener = OpenHostSocket(Protocol::kTcp, Parsed("127.0.0.1"), false);
  auto host = OpenHostSocket(Protocol::kUdp, Parsed("127.0.0.1"), false);
  auto flow = OpenConnectedDatagramSocket(Parsed("127.0.0.1", 9));
  REQUIRE((listener.ok() && host.ok() && flow.ok()));
  for (const int fd : {pair.client.get(), pair.server.get(), listener.value().get(),
                       host.value().get(), flow.value().get()}) {
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
  }
}

TEST_CASE("a dual-stack listener takes both families, a strict one only its own") {
  auto dual = OpenHostSocket(Protocol::kTcp, Parsed("::"), false);
  REQUIRE(dual.ok());
  const uint16_t port = PortOf(dual.value().get());
  CHECK(Reachable(dual.value().get(), Parsed("127.0.0.1", port)));
  CHECK(Reachable(dual.value().get(), Parsed("::1", port)));

  auto strict = OpenHostSocket(Protocol::kTcp, Parsed("::"), true);
  REQUIRE(strict.ok());
  const uint16_t strict_port = PortOf(strict.value().get());
  CHECK_FALSE(Reachable(strict.value().get(), Parsed("127.0.0.1", strict_port)));
  CHECK(Reachable(strict.value().get(), Parsed("::1", strict_port)));
}

TEST_CASE("a taken port is a failure of bind, for TCP and for UDP") {
  for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
    auto first = OpenHostSocket(protocol, Parsed("127.0.0.1"), false);
    REQUIRE(first.ok());
    auto second = OpenHostSocket(protocol, Parsed("127.0.0.1", PortOf(first.value().get())), false);
    REQUIRE_FALSE(second.ok());
    CHECK(second.error().code == -EADDRINUSE);
    CHECK(std::string(second.error().syscall) == "bind");
  }
}

TEST_CASE("accepted connections inherit TCP_NODELAY") {
  const TcpPair pair = ConnectedTcpPair();
  CHECK(Option(pair.server.get(), IPPROTO_TCP, 1 /* TCP_NODELAY */) == 1);
}

TEST_CASE("an empty socket would block, a FIN is the end, a RST is a failure") {
  TcpPair pair = ConnectedTcpPair();
  char buffer[16];
  CHECK(Receive(pair.server.get(), buffer).would_block());
  ShutdownWrite(pair.client.get());
  CHECK(Eventually([&] { return Receive(pair.server.get(), buffer).at_end(); }));

  TcpPair other = ConnectedTcpPair();
  ResetOnClose(other.client.get());
  other.client.Reset();
  Io io;
  REQUIRE(Eventually([&] { return !(io = Receive(other.server.get(), buffer)).would_block(); }));
  CHECK(io.failed());
  CHECK(io.error == ECONNRESET);
}

TEST_CASE("sending into a closed connection is a failure, not a signal") {
  TcpPair pair = ConnectedTcpPair();
  pair.server.Reset();
  Io io;
  CHECK(Eventually([&] { return (io = Send(pair.client.get(), std::string("x"))).failed(); }));
}

TEST_CASE("a loopback round trip is measured and short") {
  const TcpPair pair = ConnectedTcpPair();
  CHECK(MinRoundTripMicros(pair.server.get()) < 100'000);
  auto unconnected = OpenStreamSocket(false);
  REQUIRE(unconnected.ok());
  CHECK(MinRoundTripMicros(unconnected.value().get()) == UINT32_MAX);
}

TEST_CASE("unacknowledged bytes are counted until the peer has them") {
  TcpPair pair = ConnectedTcpPair();
  CHECK(UnacknowledgedBytes(pair.client.get()) == 0);
  const std::string block(1 << 20, 'c');
  while (Send(pair.client.get(), block).moved()) {
  }
  CHECK(UnacknowledgedBytes(pair.client.get()) > 0);
}

TEST_CASE("a refused connection is told by the socket") {
  auto listener = OpenHostSocket(Protocol::kTcp, Parsed("127.0.0.1"), false);
  REQUIRE(listener.ok());
  const uint16_t port = PortOf(listener.value().get());
  listener.value().Reset();
  auto client = OpenStreamSocket(false);
  REQUIRE(client.ok());
  const auto started = StartConnect(client.value().get(), Parsed("127.0.0.1", port));
  const int error =
      started.ok() ? Option(client.value().get(), SOL_SOCKET, SO_ERROR) : -started.error().code;
  CHECK(error == ECONNREFUSED);
}

}  // namespace spliceport
