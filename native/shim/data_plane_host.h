// data_plane_host.h: what a DataPlane needs of the process that it is part of: the sections of a
//                    request that concern the process are passed on to it.
// Thread: the main thread's, within DataPlane::Execute. So a host that wants to drop the connection
//         or the DataPlane does so afterwards.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "net/unix_socket.h"

namespace spliceport::shim {

struct ReloadListener {
  UnixType type = UnixType::kSeqpacket;
  std::string name;  // Within the folder.
  // Of the socket's file.
  dev_t dev = 0;
  ino_t ino = 0;
  UniqueFd listener;
  UniqueFd folder;
};

struct ControlListener {
  std::string name;
  dev_t dev = 0;
  ino_t ino = 0;
  std::string folder_to_remove;  // Once it is empty; may be none.
  UniqueFd listener;
  UniqueFd folder;
};

class DataPlaneHost {
 public:
  // Watches ExitFD, and reports ready. Without a descriptor `error_fd` is not valid.
  virtual Result<void> OnReady(int exit_fd, int ready_fd, UniqueFd error_fd) = 0;
  virtual void OnFail(std::string text) = 0;
  virtual void OnWarn(std::string text) = 0;
  virtual void OnReloadListener(ReloadListener listener) = 0;
  // Replaces the one before. Nothing: there shall be none.
  virtual void OnControlListener(std::optional<ControlListener> listener) = 0;
  virtual void OnReply(uint32_t client, std::string bytes) = 0;
  virtual void OnKeep(bool keep) = 0;
  virtual void OnRunOwn() = 0;
  virtual void OnElectAgain() = 0;

 protected:
  ~DataPlaneHost() = default;
};

}  // namespace spliceport::shim
