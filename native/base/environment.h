// environment.h: the variables that this process was started with.
// Thread: any; nobody changes them.
#pragma once

#include <string>
#include <vector>

namespace spliceport {

// Empty if there is none.
std::string Variable(const char* name);
// The folders of PATH, in their order. An empty one stands for the working directory.
std::vector<std::string> SearchPath();

}  // namespace spliceport
