// acceptor.h: a listening Unix socket for clients of this user and root. A failure to accept costs
//             a pause, and no client: they wait in the queue.
// Owns:   the socket.
// Thread: the main one.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "base/unique_fd.h"
#include "shim/loop.h"

namespace spliceport::shim {

class Acceptor {
 public:
  struct Client {
    UniqueFd fd;
    // Why it must not be served; empty for this user and root.
    std::string stranger;
  };

  // `on_clients` is called as long as clients wait. It accepts, or calls Pause.
  Acceptor(Loop& loop, std::function<void()> on_clients);

  void Open(UniqueFd listener);
  void Close();
  bool is_open() const { return listener_.valid(); }
  std::optional<Client> Accept();
  // Clients wait until Resume.
  void Pause();
  void Resume();

 private:
  Watch watch_;
  Alarm pause_;
  UniqueFd listener_;
};

}  // namespace spliceport::shim
