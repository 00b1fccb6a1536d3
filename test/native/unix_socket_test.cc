#include "net/unix_socket.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "support/support.h"

namespace spliceport {

namespace {

// A new folder, removed with everything in it.
class Folder {
 public:
  explicit Folder(const std::string& below = "") {
    char name[] = "/tmp/spliceport-native-XXXXXX";
    top_ = mkdtemp(name);
    std::filesystem::create_directories(top_ / below);
    fd_.Reset(open((top_ / below).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  ~Folder() { std::filesystem::remove_all(top_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  int fd() const { return fd_.get(); }

 private:
  std::filesystem::path top_;
  UniqueFd fd_;
};

struct Ends {
  UniqueFd client;
  UniqueFd server;
};

Ends Connected(UnixType type, const Folder& folder) {
  auto listener = ListenUnix(type, folder.fd(), "socket");
  REQUIRE(listener.ok());
  auto client = ConnectUnix(type, folder.fd(), "socket");
  REQUIRE(client.ok());
  Ends ends{std::move(client.value()), UniqueFd()};
  REQUIRE(AcceptUnix(listener.value().get(), ends.server).moved());
  return ends;
}

Ends ConnectedPair() {
  int fds[2];
  REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

bool IsSameFile(int one, int other) {
  struct stat facts[2]{};
  return fstat(one, &facts[0]) == 0 && fstat(other, &facts[1]) == 0 &&
         facts[0].st_dev == facts[1].st_dev && facts[0].st_ino == facts[1].st_ino;
}

}  // namespace

TEST_CASE("a unix socket may lie deeper than 107 bytes") {
  const Folder folder(std::string(120, 'd') + "/" + std::string(120, 'e'));
  const Ends ends = Connected(UnixType::kStream, folder);
  CHECK(ends.server.valid());
}

TEST_CASE("a name that does not fit is a failure") {
  const Folder folder;
  const auto listener = ListenUnix(UnixType::kStream, folder.fd(), std::string(200, 'n'));
  REQUIRE_FALSE(listener.ok());
  CHECK(listener.error().code == -ENAMETOOLONG);
}

TEST_CASE("a taken name is a failure of bind") {
  const Folder folder;
  const auto first = ListenUnix(UnixType::kStream, folder.fd(), "socket");
  const auto second = ListenUnix(UnixType::kStream, folder.fd(), "socket");
  REQUIRE(first.ok());
  REQUIRE_FALSE(second.ok());
  CHECK(second.error().code == -EADDRINUSE);
}

TEST_CASE("seqpacket keeps the boundaries of messages, stream does not") {
  for (const UnixType type : {UnixType::kSeqpacket, UnixType::kStream}) {
    const Folder folder;
    const Ends ends = Connected(type, folder);
    REQUIRE(SendWhole(ends.client.get(), std::string("one")).ok());
    REQUIRE(SendWhole(ends.client.get(), std::string("two")).ok());
    char buffer[16];
    CHECK(Receive(ends.server.get(), buffer).count == (type == UnixType::kSeqpacket ? 3 : 6));
  }
}

TEST_CASE("a peer that does not read makes a send fail, not wait") {
  const Folder folder;
  const Ends ends = Connected(UnixType::kStream, folder);
  const std::string block(64 << 10, 'u');
  Result<void> last;
  for (int i = 0; i < 1'000 && last.ok(); ++i)
    last = SendWhole(ends.client.get(), block);
  REQUIRE_FALSE(last.ok());
  CHECK(last.error().code == -EAGAIN);
}

TEST_CASE("datagrams keep their boundaries, and an end that is gone is a failure") {
  const Folder folder;
  const std::string path = "/proc/self/fd/" + std::to_string(folder.fd()) + "/socket";
  UniqueFd receiver(socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  REQUIRE(bind(receiver.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  auto sender = ConnectUnix(UnixType::kDatagram, folder.fd(), "socket");
  REQUIRE(sender.ok());
  REQUIRE(SendWhole(sender.value().get(), std::string("one")).ok());
  REQUIRE(SendWhole(sender.value().get(), std::string("two")).ok());
  char buffer[16];
  CHECK(Receive(receiver.get(), buffer).count == 3);
  receiver.Reset();
  const auto last = SendWhole(sender.value().get(), std::string("three"));
  REQUIRE_FALSE(last.ok());
  CHECK(last.error().code == -ECONNREFUSED);
}

TEST_CASE("a name in the abstract namespace is found by exactly its bytes") {
  const std::string name = '\0' + std::string("spliceport-test-") + std::to_string(getpid());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  name.copy(address.sun_path, name.size());
  const UniqueFd server(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  REQUIRE(bind(server.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
  auto client = ConnectUnix(UnixType::kDatagram, -1, name);
  REQUIRE(client.ok());
  REQUIRE(SendWhole(client.value().get(), std::string("word")).ok());
  char buffer[16];
  CHECK(Receive(server.get(), buffer).count == 4);
}

TEST_CASE("the process at the other end is known") {
  const Folder folder;
  const Ends ends = Connected(UnixType::kStream, folder);
  auto peer = CredentialsOfPeer(ends.server.get());
  REQUIRE(peer.ok());
  CHECK(peer.value().pid == getpid());
  CHECK(peer.value().uid == geteuid());
  CHECK(peer.value().gid == getegid());
}

TEST_CASE("nobody waiting is no failure") {
  const Folder folder;
  auto listener = ListenUnix(UnixType::kSeqpacket, folder.fd(), "socket");
  REQUIRE(listener.ok());
  UniqueFd connection;
  CHECK(AcceptUnix(listener.value().get(), connection).would_block());
}

TEST_CASE("descriptors travel with the bytes they were sent with") {
  const Ends ends = ConnectedPair();
  const Ends other = ConnectedPair();
  const int sent[] = {other.client.get(), other.server.get()};
  auto count = SendWithFds(ends.client.get(), std::string_view("two"), sent);
  REQUIRE(count.ok());
  CHECK(count.value() == 3);
  REQUIRE(SendWithFds(ends.client.get(), std::string_view("none"), {}).ok());
  char memory[16];
  std::vector<UniqueFd> fds;
  CHECK(ReceiveWithFds(ends.server.get(), memory, fds).count == 3);
  REQUIRE(fds.size() == 2);
  CHECK(IsSameFile(fds[0].get(), sent[0]));
  CHECK(IsSameFile(fds[1].get(), sent[1]));
  CHECK((fcntl(fds[0].get(), F_GETFD) & FD_CLOEXEC) != 0);
  CHECK(ReceiveWithFds(ends.server.get(), memory, fds).count == 4);
  CHECK(fds.size() == 2);
}

TEST_CASE("nothing to receive, the end, and no room to send are outcomes") {
  const Ends ends = ConnectedPair();
  char memory[16];
  std::vector<UniqueFd> fds;
  CHECK(ReceiveWithFds(ends.server.get(), memory, fds).would_block());
  const std::string block(64 << 10, 'u');
  size_t last = 1;
  for (int i = 0; i < 1'000 && last > 0; ++i) {
    auto sent = SendWithFds(ends.client.get(), block, {});
    REQUIRE(sent.ok());
    last = sent.value();
  }
  CHECK(last == 0);
  Ends ending = ConnectedPair();
  ending.client.Reset();
  CHECK(ReceiveWithFds(ending.server.get(), memory, fds).at_end());
  CHECK(SendWithFds(ending.server.get(), block, {}).error().code == -EPIPE);
}

TEST_CASE("as many descriptors as the kernel takes travel at once, and one more is a failure") {
  const Ends ends = ConnectedPair();
  const std::vector<int> sent(kMaxFdsAtOnce + 1, ends.client.get());
  char memory[16];
  std::vector<UniqueFd> fds;
  const auto most = std::span(sent).first(kMaxFdsAtOnce);
  REQUIRE(SendWithFds(ends.client.get(), std::string_view("x"), most).ok());
  CHECK(ReceiveWithFds(ends.server.get(), memory, fds).count == 1);
  CHECK(fds.size() == kMaxFdsAtOnce);
  CHECK(SendWithFds(ends.client.get(), std::string_view("x"), sent).error().code == -EINVAL);
}

TEST_CASE("descriptors for which there is no room are a failure, and none of them stays open") {
  const Ends ends = ConnectedPair();
  const int sent[] = {ends.client.get(), ends.client.get(), ends.client.get()};
  REQUIRE(SendWithFds(ends.client.get(), std::string_view("x"), sent).ok());
  const UniqueFd lowest_free(dup(ends.client.get()));
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit few{static_cast<rlim_t>(lowest_free.get()) + 2, before.rlim_max};
  const int open_before = OpenDescriptors();
  REQUIRE(setrlimit(RLIMIT_NOFILE, &few) == 0);
  char memory[16];
  std::vector<UniqueFd> fds;
  const Io io = ReceiveWithFds(ends.server.get(), memory, fds);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &before) == 0);
  CHECK(io.error == EMFILE);
  CHECK(fds.empty());
  CHECK(OpenDescriptors() == open_before);
}

}  // namespace spliceport
