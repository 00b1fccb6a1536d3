// errno_text.h: what an errno means, for people.
// Thread: any.
#pragma once

#include <string>

namespace spliceport {

// The C library's words, such as "Permission denied". `error` is positive.
std::string ErrnoText(int error);

}  // namespace spliceport
