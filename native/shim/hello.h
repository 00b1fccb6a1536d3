// hello.h: the first message to a resident: all that it has to know to start a container, or to go
//          on with one.
// Thread: any.
#pragma once

#include <string>

#include "shim/caller.h"
#include "shim/data_plane.h"

namespace spliceport::shim {

std::string Hello(const Caller& caller, DataPlane& data_plane, bool is_ready, uint64_t age_millis);

}  // namespace spliceport::shim
