#include "shim/caller.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

#include "base/low_fds.h"

namespace spliceport::shim {

namespace {

// Most configurations are shorter. What is read into stays in use.
constexpr size_t kChunkBytes = 4'096;

// The caller may have made a descriptor non-blocking. Returns false if it is of no use.
bool WaitUntilReady(int fd, int16_t events) {
  pollfd waiting{.fd = fd, .events = events, .revents = 0};
  return poll(&waiting, 1, -1) >= 0 || errno == EINTR;
}

bool MayTryAgain(int fd, int16_t events) {
  if (errno == EINTR) return true;
  return errno == EAGAIN && WaitUntilReady(fd, events);
}

void WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written > 0) {
      text.remove_prefix(static_cast<size_t>(written));
    } else if (written == 0 || !MayTryAgain(fd, POLLOUT)) {
      return;  // Whoever should have read it is gone.
    }
  }
}

void WriteLine(int fd, std::string_view text) { WriteAll(fd, std::string(text) + "\n"); }

}  // namespace

Caller::Caller() {
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir("/proc/self/fd"), &closedir);
  if (folder != nullptr) {
    has_proc_ = true;
    // NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread yet.
    while (const dirent* entry = readdir(folder.get())) {
      if (entry->d_name[0] == '.') continue;
      const int fd = static_cast<int>(std::strtol(entry->d_name, nullptr, 10));
      if (fd != dirfd(folder.get())) inherited_.push_back(fd);
    }
    std::sort(inherited_.begin(), inherited_.end());
  }
  OccupyFds(STDERR_FILENO);
}

bool Caller::HasPassed(int fd) const {
  return std::binary_search(inherited_.begin(), inherited_.end(), fd);
}

Result<void> Caller::ReadConfiguration() {
  for (;;) {
    const size_t before = configuration_.size();
    configuration_.resize(before + kChunkBytes);
    const ssize_t count = read(STDIN_FILENO, configuration_.data() + before, kChunkBytes);
    configuration_.resize(before + (count > 0 ? static_cast<size_t>(count) : 0));
    if (count == 0) break;
    if (count < 0 && !MayTryAgain(STDIN_FILENO, POLLIN)) return LastError("read");
  }
  configuration_.shrink_to_fit();
  return {};
}

void Caller::Describe(std::string_view configuration) {
  configuration_.assign(configuration.begin(), configuration.end());
}

void Caller::Tell(std::string_view text) { WriteLine(STDOUT_FILENO, text); }

void Caller::Warn(std::string_view text) { WriteLine(STDERR_FILENO, text); }

void Caller::Release(UniqueFd error_fd) {
  const UniqueFd nothing(open("/dev/null", O_RDWR | O_CLOEXEC));
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    const int replacement =
        fd == STDERR_FILENO && error_fd.valid() ? error_fd.get() : nothing.get();
    if (replacement >= 0) dup2(replacement, fd);
  }
}

void Caller::SayReady(int fd) {
  WriteAll(fd, "1");
  if (fd > STDERR_FILENO) close(fd);
}

}  // namespace spliceport::shim
