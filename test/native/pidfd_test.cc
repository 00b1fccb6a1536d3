#include "base/pidfd.h"

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace spliceport {

namespace {

bool IsReadable(int fd, int timeout_millis) {
  pollfd polled{fd, POLLIN, 0};
  return poll(&polled, 1, timeout_millis) == 1;
}

}  // namespace

TEST_CASE("a pidfd is readable once its process has exited, and not before") {
  int held[2];
  REQUIRE(pipe(held) == 0);
  const pid_t child = fork();
  if (child == 0) {
    close(held[1]);
    char byte = 0;
    _exit(static_cast<int>(read(held[0], &byte, 1)));
  }
  close(held[0]);
  auto pidfd = OpenPidfd(child);
  REQUIRE(pidfd.ok());
  CHECK(!IsReadable(pidfd.value().get(), 0));
  close(held[1]);
  CHECK(IsReadable(pidfd.value().get(), 10'000));
  REQUIRE(waitpid(child, nullptr, 0) == child);
  CHECK(IsReadable(pidfd.value().get(), 0));
  const auto gone = OpenPidfd(child);
  REQUIRE(!gone.ok());
  CHECK(gone.error().code == -ESRCH);
}

}  // namespace spliceport
