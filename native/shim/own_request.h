// own_request.h: requests that this process makes of itself, as a resident would, and what they
//                have in common where nobody has set anything.
// Owns:   a request owns its bytes and descriptors, until it is executed.
// Thread: the main one.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "shim/data_plane.h"
#include "shim/own_folder.h"
#include "shim/wire.h"

namespace spliceport::shim {

class OwnRequest {
 public:
  OwnRequest() { bytes_.U32(0); }

  void Add(char kind, Writer section);
  void Attach(UniqueFd fd) { fds_.push_back(std::move(fd)); }
  // What is listened at under a name, in a section that goes on.
  void AddListener(NamedSocket socket, Writer& section);

  // The results of its sections; nothing if one has failed.
  std::optional<std::vector<std::string>> ExecuteIn(DataPlane& data_plane);
  // Which call has failed, and why.
  const std::string& failure() const { return failure_; }

 private:
  Writer bytes_;
  std::vector<UniqueFd> fds_;
  std::string failure_;
};

// The section that starts an engine, with as many workers as there are processors, and no more
// than this.
Writer DefaultEngine(uint32_t most_workers);
// Of forwards of section `A`: what follows the target. Settings that were added later need not be
// said.
void WriteDefaultSettings(Writer& forwards);

// Where the control socket goes; `is_own`: nobody has chosen the folder, so it is removed with the
// last socket in it.
struct ControlFolder {
  std::string path;
  bool is_own = true;
};
// `fallback`: for a user without a runtime folder.
ControlFolder FindControlFolder(const std::string& fallback);
// False: there is no control socket.
bool ListenForControl(DataPlane& data_plane, const ControlFolder& folder);

}  // namespace spliceport::shim
