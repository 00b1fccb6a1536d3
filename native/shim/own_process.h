// own_process.h: the answer to every doubt before this process is ready: the helper that needs no
//                other process takes its place, with the same configuration and descriptors.
// Thread: the main one, once there is no other.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "shim/installation.h"

namespace spliceport::shim {

// Executes the helper. Without a configuration, standard input is as it was. Returns why it cannot,
// in words for the user.
std::string BecomeOwnProcess(const Installation& installation,
                             std::optional<std::span<const char>> configuration);

}  // namespace spliceport::shim
