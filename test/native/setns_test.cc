#include "net/setns.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <thread>

#include <doctest/doctest.h>

#include "support/support.h"

namespace spliceport {

namespace {

ino_t CurrentNamespace() {
  struct stat status {};
  stat("/proc/thread-self/ns/net", &status);
  return status.st_ino;
}

ino_t InodeOf(int fd) {
  struct stat status {};
  fstat(fd, &status);
  return status.st_ino;
}

NetnsPtr From(int fd) {
  auto netns = Netns::From(fd);
  REQUIRE(netns.ok());
  return netns.value();
}

// The cursor moves its thread, so it must not be the test runner's.
void OnThread(const std::function<void()>& action) { std::thread(action).join(); }

}  // namespace

TEST_CASE("a namespace is known by what it is, not by its descriptor") {
  const UniqueFd one = NewNamespace();
  const UniqueFd two = NewNamespace();
  const UniqueFd same(fcntl(one.get(), F_DUPFD_CLOEXEC, 0));
  CHECK(From(one.get())->IsSameAs(*From(same.get())));
  CHECK_FALSE(From(one.get())->IsSameAs(*From(two.get())));
}

TEST_CASE("a descriptor is borrowed for the call and duplicated") {
  UniqueFd fd = NewNamespace();
  const ino_t inode = InodeOf(fd.get());
  const NetnsPtr netns = From(fd.get());
  fd.Reset();
  CHECK(InodeOf(netns->fd()) == inode);
}

TEST_CASE("a thread enters, stays, goes on to another, and comes home") {
  const NetnsPtr one = From(NewNamespace().get());
  const NetnsPtr two = From(NewNamespace().get());
  const ino_t home = CurrentNamespace();
  std::vector<ino_t> visited;
  bool entered = true;
  OnThread([&] {
    NetnsCursor cursor;
    for (const NetnsPtr& next : {one, one, two, NetnsPtr(), one}) {
      entered = entered && cursor.Enter(next).ok();
      visited.push_back(CurrentNamespace());
    }
    cursor.LeaveIfIn(*two);
    visited.push_back(CurrentNamespace());
    cursor.LeaveIfIn(*one);
    visited.push_back(CurrentNamespace());
  });
  const ino_t first = InodeOf(one->fd());
  CHECK(entered);
  CHECK(visited == std::vector<ino_t>{first, first, InodeOf(two->fd()), home, first, first, home});
  CHECK(CurrentNamespace() == home);
}

TEST_CASE("a socket keeps the namespace that made it") {
  const UniqueFd netns = NewNamespace();
  Result<UniqueFd> listener = SysError{0, ""};
  InNamespace(netns.get(), [&] {
    listener = OpenHostSocket(Protocol::kTcp, *Address::Parse("127.0.0.1", 0), false);
  });
  REQUIRE(listener.ok());
  const Address address = LocalAddress(listener.value().get()).value();
  UniqueFd accepted;
  Address peer;
  InNamespace(netns.get(), [&] {
    auto client = OpenStreamSocket(false);
    StartConnect(client.value().get(), address).Ignore();
  });
  CHECK(Eventually([&] { return Accept(listener.value().get(), accepted, peer).moved(); }));
}

TEST_CASE("what is no network namespace cannot be entered, and the thread stays where it is") {
  const UniqueFd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const ino_t home = CurrentNamespace();
  const auto probed = RunIn(file.get(), [] { return Result<void>(); });
  REQUIRE_FALSE(probed.ok());
  CHECK(probed.error().code == -EINVAL);
  CHECK(std::string(probed.error().syscall) == "setns");
  CHECK(RunIn(NewNamespace().get(), [] { return Result<void>(); }).ok());
  CHECK(CurrentNamespace() == home);
}

}  // namespace spliceport
