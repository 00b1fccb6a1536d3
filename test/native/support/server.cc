#include "support/server.h"

#include <doctest/doctest.h>
#include <poll.h>

#include <array>
#include <chrono>
#include <thread>

#include "net/socket.h"
#include "support/support.h"

namespace spliceport {

namespace {

constexpr int kPatienceMillis = 5'000;

bool Wait(int fd, short events) {
  pollfd poller{fd, events, 0};
  return poll(&poller, 1, kPatienceMillis) > 0;
}

}  // namespace

bool SendAll(int fd, const std::string& bytes) {
  std::span<const char> rest(bytes);
  while (!rest.empty()) {
    const Io io = Send(fd, rest);
    if (io.failed()) return false;
    rest = rest.subspan(io.count);
    if (io.would_block() && !Wait(fd, POLLOUT)) return false;
  }
  return true;
}

Ending ReadToEnd(int fd) {
  Ending ending;
  std::vector<char> buffer(64 << 10);
  for (;;) {
    const Io io = Receive(fd, buffer);
    if (io.at_end()) return ending;
    ending.bytes.append(buffer.data(), io.count);
    if (io.failed()) ending.error = io.error;
    if (io.would_block() && !Wait(fd, POLLIN)) ending.error = ETIMEDOUT;
    if (ending.error != 0) return ending;
  }
}

Server::Server(int netns, std::function<void(int)> handler, uint16_t port)
    : handler_(std::move(handler)) {
  Result<UniqueFd> listener = SysError{0, ""};
  InNamespace(netns, [&] {
    listener = OpenHostSocket(Protocol::kTcp, *Address::Parse("127.0.0.1", port), false);
  });
  REQUIRE(listener.ok());
  listener_ = std::move(listener.value());
  address_ = LocalAddress(listener_.get()).value();
  acceptor_ = std::thread([this] { AcceptAll(); });
}

Server::~Server() {
  shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  for (auto& connection : connections_)
    connection.join();
}

void Server::AcceptAll() {
  for (;;) {
    UniqueFd connection;
    Address peer;
    const Io io = Accept(listener_.get(), connection, peer);
    if (io.moved()) {
      connections_.emplace_back(
          [this, fd = std::make_shared<UniqueFd>(std::move(connection))] { handler_(fd->get()); });
    } else if (IsExhaustion(io.error)) {
      // accept(2) wants a free descriptor also when nobody waits.
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    } else if (io.failed()) {
      return;
    } else {
      pollfd poller{listener_.get(), POLLIN, 0};
      poll(&poller, 1, -1);
    }
  }
}

void Echo(int fd) {
  std::vector<char> buffer(64 << 10);
  for (;;) {
    const Io io = Receive(fd, buffer);
    if (io.at_end()) return ShutdownWrite(fd);
    if (io.failed() || (io.would_block() && !Wait(fd, POLLIN))) return;
    if (!SendAll(fd, std::string(buffer.data(), io.count))) return;
  }
}

void AnswerLate(int fd) {
  const Ending request = ReadToEnd(fd);
  if (request.error != 0) return;
  SendAll(fd, request.bytes);
  ShutdownWrite(fd);
}

}  // namespace spliceport
