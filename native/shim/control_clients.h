// control_clients.h: clients of the container's control API, who are passed on to the resident.
// Owns:   the listening socket, its name, and perhaps the folder of it.
// Thread: the main one.
#pragma once

#include <functional>
#include <string>

#include "shim/acceptor.h"
#include "shim/lingering.h"
#include "shim/loop.h"
#include "shim/socket_file.h"

namespace spliceport::shim {

class ControlClients {
 public:
  // `may_serve`: whether somebody serves a client now. If not, he is called by that, and clients
  // wait in the queue until Resume. `serve` gets a borrowed descriptor.
  ControlClients(Loop& loop, Lingering& lingering, std::function<bool()> may_serve,
                 std::function<void(int client)> serve);

  // `folder` is removed with the socket, if it is empty then.
  void Listen(UniqueFd listener, SocketFile file, std::string folder);
  bool waits() const { return waits_; }
  void Resume();
  // Tells everyone who waits that there is nobody.
  void RefuseAll(const std::string& reason);
  void Close();

 private:
  void OnClients();
  std::optional<UniqueFd> AcceptOwn();

  Lingering& lingering_;
  std::function<bool()> may_serve_;
  std::function<void(int)> serve_;
  Acceptor acceptor_;
  SocketFile file_;
  std::string folder_;
  bool waits_ = false;
};

}  // namespace spliceport::shim
