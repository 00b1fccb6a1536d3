// link.h: the one thing a fresh network namespace needs before it is of use: its loopback interface up.
// Kernel: netdevice(7). Acts on the calling thread's namespace.
#pragma once

#include <string>

#include "base/result.h"

namespace spliceport {

Result<void> SetInterfaceUp(const std::string& name);

}  // namespace spliceport
