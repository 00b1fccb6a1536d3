// own_folder.h: folders for sockets, which are this user's alone, and the sockets in them.
// Thread: the main one.
// Fails:  EACCES for a folder that is another user's; SysError of the calls.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "net/unix_socket.h"

namespace spliceport::shim {

// A folder that others may look into: the reload sockets' is closed to them, since it is for
// nothing else; that of control sockets may be one that others need, such as /tmp.
enum class IfOpen : uint8_t { kClose, kRefuse };

// Makes the folder if there is none; not what it is in.
Result<UniqueFd> OpenOwnFolder(const std::string& path, IfOpen if_open);

// A listening socket under its name.
struct NamedSocket {
  std::string name;
  dev_t dev = 0;
  ino_t ino = 0;
  UniqueFd listener;
  UniqueFd folder;
};

// Takes the place of what has the name now.
Result<NamedSocket> ListenInPlace(UnixType type, UniqueFd folder, const std::string& name);
// Makes the socket of this process's control API, named by its pid, and removes those of processes
// that are gone. EEXIST if another process has the name.
Result<NamedSocket> ListenForControlIn(const std::string& path);

}  // namespace spliceport::shim
