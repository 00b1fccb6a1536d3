// base.h: what every part of the load generator needs: descriptors, time, and giving up.
// Fails: a load generator that cannot do its work says why and exits; there is nothing to recover.
#pragma once

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <utility>

namespace spliceport::bench {

// Owns one descriptor, or none (-1). Move-only.
class UniqueFd {
 public:
  explicit UniqueFd(int fd = -1) noexcept : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    Reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~UniqueFd() { Reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  void Reset(int fd = -1) noexcept {
    if (fd_ >= 0) close(fd_);
    fd_ = fd;
  }

 private:
  int fd_;
};

// Ends the program with the reason on stderr.
[[noreturn]] inline void Die(const char* what, int error = errno) {
  fprintf(stderr, "%s: %s\n", what, strerror(error));
  exit(1);
}

// The result of a system call that must not fail here.
inline int Must(int result, const char* what) {
  if (result < 0) Die(what);
  return result;
}

constexpr int64_t kNanosPerSecond = 1'000'000'000;
constexpr int64_t kNanosPerMilli = 1'000'000;

// Monotonic time in nanoseconds.
inline int64_t Now() {
  timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * kNanosPerSecond + time.tv_nsec;
}

}  // namespace spliceport::bench
