// original.h: Docker's own proxy, for what this one does not do: SCTP, flags of a Docker that is
//             newer, and a machine on which this one cannot start.
// Thread: the main one, once there is no other.
#pragma once

#include <span>
#include <string>

namespace spliceport::docker {

// Executes it in place of this process, with the same arguments and descriptors, and has the
// system's log say why. Returns if there is none.
void BecomeOriginal(std::span<char* const> words, const std::string& reason);

}  // namespace spliceport::docker
