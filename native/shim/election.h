// election.h: finds the user's resident, or starts it. Whoever is first makes the socket and starts
//             a process for it; all others find the socket and wait in its queue, so nobody has to
//             be told anything. A process that fails to start closes the socket, which everyone
//             sees.
// Owns:   a descriptor of the folder.
// Thread: the main one; no call waits.
// Fails:  EAGAIN if another one is founding at this moment; try again soon.
#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace spliceport::shim {

struct Contact {
  UniqueFd connection;
  // The resident may still be starting.
  bool is_new = false;
};

class Election {
 public:
  // Starts a resident that listens with this descriptor.
  using Start = std::function<Result<void>(int listener)>;

  // Makes the folder; fails if others may look into it, because what a resident is told to do, it
  // does.
  static Result<Election> Open(const std::string& folder, std::string name);

  // Connects with the resident that there is.
  Result<Contact> Join() const;
  // Whether there was none to join.
  static bool IsNobody(SysError error);
  // Connects with the one that is started, unless another one is first.
  Result<Contact> JoinOrFound(const Start& start) const;

 private:
  Election(UniqueFd folder, std::string name)
      : folder_(std::move(folder)), name_(std::move(name)) {}

  Result<UniqueFd> Lock(const std::string& name) const;
  Result<void> Found(const Start& start) const;
  bool IsNew() const;
  void RemoveDead() const;
  void RemoveIfDead(const std::string& name) const;

  UniqueFd folder_;
  std::string name_;
};

}  // namespace spliceport::shim
