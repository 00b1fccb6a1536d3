// lingering.h: clients that have been answered before they were read. If a connection is closed
//              with something unread in it, the client may never see the answer.
// Owns:   their connections, for a moment.
// Thread: the main one.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string_view>

#include "base/unique_fd.h"
#include "shim/loop.h"

namespace spliceport::shim {

class Lingering {
 public:
  explicit Lingering(Loop& loop);
  ~Lingering();
  Lingering(const Lingering&) = delete;
  Lingering& operator=(const Lingering&) = delete;

  // Sends the answer, reads a request, and closes the connection. If too many linger already, it
  // does not read.
  void Answer(UniqueFd client, std::string_view answer);

 private:
  struct Client;
  Loop& loop_;
  uint64_t next_ = 0;
  std::map<uint64_t, std::unique_ptr<Client>> clients_;
};

}  // namespace spliceport::shim
