// host_side.h: the socket for clients: the one that dockerd has opened, or one of this process's
// own
//              with a dockerd that opens none.
// Thread: the main one.
// Fails:  with a text in the form of Docker's own proxy, and what to do.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "docker/arguments.h"

namespace spliceport::docker {

struct HostSide {
  UniqueFd socket;
  std::string failure;  // If there is none.
};
// A copy of the descriptor.
HostSide AdoptListener(const Order& order, int borrowed_fd);
HostSide OpenListener(const Order& order);

// "bind: address already in use", as Go has it.
std::string DescribeError(SysError error);

}  // namespace spliceport::docker
