// installation.h: where the other parts of spliceport are: the helper that needs no resident, the
//                 resident's program, and node.
// Thread: any; a value. It is looked up once, so that a process that has been replaced on disk
//         starts what has replaced it.
#pragma once

#include <optional>
#include <string>

namespace spliceport::shim {

struct Installation {
  // By the place of this executable.
  static Installation Find();
  // The first that there is of: $SPLICEPORT_NODE, the one that was noted at the installation, the
  // usual places, PATH.
  std::optional<std::string> FindNode() const;

  std::string own_process;  // The script.
  std::string resident;     // For node.
  std::string node_path;    // The file that names the node of the installation.
};

}  // namespace spliceport::shim
