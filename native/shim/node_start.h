// node_start.h: starts the resident: a process that has nothing of the one that started it but a
//               listening socket as descriptor 3, and a few variables of the environment.
// Thread: the main one. There may be others, so nothing between fork and exec allocates memory.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace spliceport::shim {

struct NodeStart {
  std::string node;
  std::string program;
  int listener = -1;                  // Borrowed.
  const std::vector<int>& inherited;  // Not for the resident.
};

// Returns when the process is there; what becomes of it shows at the listener, whose last copy it
// has.
Result<void> StartNode(const NodeStart& start);

}  // namespace spliceport::shim
