#include "base/unique_fd.h"

#include <fcntl.h>

#include <doctest/doctest.h>

namespace spliceport {

namespace {

UniqueFd Opened() { return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)); }
bool IsOpen(int fd) { return fcntl(fd, F_GETFD) != -1; }

}  // namespace

TEST_CASE("a descriptor is closed with its owner") {
  int number = -1;
  {
    const UniqueFd fd = Opened();
    number = fd.get();
    REQUIRE(IsOpen(number));
  }
  CHECK_FALSE(IsOpen(number));
}

TEST_CASE("a moved descriptor has one owner, and the target's old one is closed") {
  UniqueFd from = Opened();
  UniqueFd to = Opened();
  const int moved = from.get();
  const int replaced = to.get();
  to = std::move(from);
  CHECK(to.get() == moved);
  CHECK(IsOpen(moved));
  CHECK_FALSE(IsOpen(replaced));
}

TEST_CASE("a released descriptor stays open") {
  int number = -1;
  {
    UniqueFd fd = Opened();
    number = fd.Release();
    CHECK_FALSE(fd.valid());
  }
  CHECK(IsOpen(number));
  close(number);
}

TEST_CASE("closing keeps errno") {
  UniqueFd fd(1 << 20);  // Not open: close(2) fails with EBADF.
  errno = EAGAIN;
  fd.Reset();
  CHECK(errno == EAGAIN);
}

}  // namespace spliceport
