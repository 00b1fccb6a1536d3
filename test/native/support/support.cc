#include "support/support.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>

#include <array>
#include <thread>

#include <doctest/doctest.h>

#include "net/interface_up.h"
#include "net/setns.h"

namespace spliceport {

TcpPair ConnectedTcpPair() {
  const auto any = Address::Parse("127.0.0.1", 0);
  auto listener = OpenHostSocket(Protocol::kTcp, *any, false);
  REQUIRE(listener.ok());
  auto address = LocalAddress(listener.value().get());
  REQUIRE(address.ok());
  auto client = OpenStreamSocket(false);
  REQUIRE(client.ok());
  REQUIRE(StartConnect(client.value().get(), address.value()).ok());
  TcpPair pair;
  Address peer;
  REQUIRE(Eventually([&] { return Accept(listener.value().get(), pair.server, peer).moved(); }));
  pair.client = std::move(client.value());
  return pair;
}

UniqueFd NewNamespace() {
  UniqueFd netns;
  std::thread([&] {
    if (unshare(CLONE_NEWNET) != 0 || !SetInterfaceUp("lo").ok()) return;
    netns.Reset(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  }).join();
  REQUIRE_MESSAGE(netns.valid(), "no network namespace; run the tests as root or through npm test");
  return netns;
}

void InNamespace(int netns, const std::function<void()>& action) {
  REQUIRE(RunIn(netns, [&] {
            action();
            return Result<void>();
          }).ok());
}

bool Eventually(const std::function<bool()>& condition, std::chrono::milliseconds deadline) {
  const auto end = std::chrono::steady_clock::now() + deadline;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

std::string ReadUpTo(int fd, size_t size) {
  std::string text;
  std::array<char, 64 << 10> buffer{};
  while (text.size() < size) {
    pollfd poller{fd, POLLIN, 0};
    if (poll(&poller, 1, 5'000) <= 0) break;
    const Io io = Receive(fd, std::span(buffer).first(std::min(buffer.size(), size - text.size())));
    if (io.at_end() || io.failed()) break;
    text.append(buffer.data(), io.count);
  }
  return text;
}

int OpenDescriptors() {
  DIR* folder = opendir("/proc/self/fd");
  int count = 0;
  while (readdir(folder) != nullptr)
    ++count;
  closedir(folder);
  return count;
}

}  // namespace spliceport
