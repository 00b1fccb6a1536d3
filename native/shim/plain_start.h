// plain_start.h: starts a container that leaves nothing to decide: what a resident would have this
//                process do, without one. What is there afterwards is the same, so a resident that
//                comes later finds what it would have made itself.
// Owns:   the configuration that was read.
// Thread: the main one.
// Fails:  in any doubt it is not begun. If a step fails, the caller undoes what was done, and has
//         the resident start the container: it knows the texts.
#pragma once

#include <optional>
#include <string>

#include "shim/caller.h"
#include "shim/data_plane.h"
#include "shim/plain_config.h"

namespace spliceport::shim {

class PlainStart {
 public:
  // Nothing: it is not plain, or a resident could not be had later.
  static std::optional<PlainStart> Of(const Caller& caller);

  // Up to ready. False: a step has failed.
  bool Run(DataPlane& data_plane) const;
  // After ready. False: there is no control socket.
  bool ListenForControl(DataPlane& data_plane) const;

 private:
  explicit PlainStart(PlainConfig config) : config_(std::move(config)) {}

  bool OpenPorts(DataPlane& data_plane) const;
  bool AddForwards(DataPlane& data_plane) const;
  bool ListenForReloads(DataPlane& data_plane) const;

  PlainConfig config_;
};

}  // namespace spliceport::shim
