#include "base/pidfd.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "base/linux_compat.h"

namespace spliceport {

Result<UniqueFd> OpenPidfd(int pid) {
  const auto fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return LastError("pidfd_open");
  return UniqueFd(fd);
}

}  // namespace spliceport
