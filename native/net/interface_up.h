// interface_up.h: brings an interface up, as a fresh network namespace needs for its loopback. Only
//                 for the demo and tests.
// Thread: any; acts on the calling thread's namespace.
// Kernel: netdevice(7).
#pragma once

#include <string>

#include "base/result.h"

namespace spliceport {

Result<void> SetInterfaceUp(const std::string& name);

}  // namespace spliceport
