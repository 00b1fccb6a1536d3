// surroundings.h: what this process was started in, as far as it matters for others: whether a
//                 process that serves all containers of a user may come from it, and where that
//                 one is found.
// Thread: any; values.
#pragma once

#include <optional>
#include <string>

namespace spliceport::shim {

// Whether nothing in force here, which a child could not take off again, would hinder a resident: a
// filter of system calls, a limit, a low priority.
bool MayFound();

// A folder in /tmp with this user's number in its name.
std::string UserFolder(const std::string& name);
// The folder of residents' sockets.
std::string ResidentFolder();
// The name of the socket within: one for each user namespace and network namespace. None without
// /proc.
std::optional<std::string> ResidentName();

}  // namespace spliceport::shim
