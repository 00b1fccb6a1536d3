// proxy.h: dockerd's userland proxy: one port, one protocol, from dockerd's command to the signal
//          that ends it.
// Thread: the main one. Returns the exit code.
#pragma once

#include <span>

namespace spliceport::docker {

// `words` is the command line, with the name of the program.
int RunProxy(std::span<char* const> words);

}  // namespace spliceport::docker
