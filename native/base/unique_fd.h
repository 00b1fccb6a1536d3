// unique_fd.h: owns one descriptor, or none (-1). Move-only; closing preserves errno.
// Thread: any; a value.
// Kernel: on Linux a descriptor is closed after close(2), even if that returns EINTR.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <type_traits>
#include <utility>

namespace spliceport {

class UniqueFd {
 public:
  explicit UniqueFd(int fd = -1) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    Reset(other.Release());
    return *this;
  }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  ~UniqueFd() { Reset(); }

  int get() const noexcept { return fd_; }
  bool valid() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int Release() noexcept { return std::exchange(fd_, -1); }
  void Reset(int fd = -1) noexcept {
    const int old = std::exchange(fd_, fd);
    if (old < 0) return;
    const int saved_errno = errno;
    close(old);
    errno = saved_errno;
  }

 private:
  int fd_;
};

static_assert(!std::is_copy_constructible_v<UniqueFd>);

}  // namespace spliceport
