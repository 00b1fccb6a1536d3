// folder.h: what is in a folder.
// Thread: any.
#pragma once

#include <string>
#include <vector>

namespace spliceport {

// The names in an open folder, `.` and `..` among them; none if it cannot be read.
std::vector<std::string> NamesIn(int folder);

}  // namespace spliceport
