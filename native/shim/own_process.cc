#include "shim/own_process.h"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/errno_text.h"
#include "base/unique_fd.h"

namespace spliceport::shim {

namespace {

std::string Failure(const std::string& what) { return what + ": " + ErrnoText(errno); }

// A file in memory has no limit that a pipe without a reader has.
bool PutOnStandardInput(std::span<const char> bytes) {
  const UniqueFd file(memfd_create("configuration", MFD_CLOEXEC));
  if (!file.valid()) return false;
  while (!bytes.empty()) {
    const ssize_t written = write(file.get(), bytes.data(), bytes.size());
    if (written <= 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return lseek(file.get(), 0, SEEK_SET) == 0 && dup2(file.get(), STDIN_FILENO) >= 0;
}

}  // namespace

std::string BecomeOwnProcess(const Installation& installation,
                             std::optional<std::span<const char>> configuration) {
  if (configuration && !PutOnStandardInput(*configuration))
    return Failure("spliceport cannot pass on the configuration");
  std::string path = installation.own_process;
  std::array<char*, 2> arguments{path.data(), nullptr};
  execv(path.c_str(), arguments.data());
  return Failure("spliceport is not installed completely: " + path);
}

}  // namespace spliceport::shim
