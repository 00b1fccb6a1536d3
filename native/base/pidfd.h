// pidfd.h: a descriptor of a process, which stays that process's when its pid is used again.
// Thread: any.
// Kernel: pidfd_open(2), since Linux 5.3. It is readable once the process has exited.
#pragma once

#include "base/result.h"
#include "base/unique_fd.h"

namespace spliceport {

// Fails with ESRCH if there is no such process, or it has been waited for.
Result<UniqueFd> OpenPidfd(int pid);

}  // namespace spliceport
