// sandboxes.h: finds the network namespace of a container by its address.
// Thread: any; looks with a thread of its own, which ends with the look.
// Fails:  never: a container that cannot be found for certain is not found. It is certain if the
//         address is at one end of a veth pair in a namespace that dockerd made, and the other end
//         is in the bridge by which this process would reach the address.
#pragma once

#include <string>

#include "net/address.h"

namespace spliceport::docker {

// Its path; empty if it is not found.
std::string FindSandbox(const Address& address);

}  // namespace spliceport::docker
