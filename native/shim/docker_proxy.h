// docker_proxy.h: this program as dockerd starts it, and in doubt Docker's own in its place.
// Thread: the main one. Returns the exit code.
#pragma once

#include <span>

namespace spliceport::shim {

// `words` is the command line, with the name of the program.
int RunDockerProxy(std::span<char* const> words);

}  // namespace spliceport::shim
