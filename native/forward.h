// forward.h: what a worker asks of a forward, whatever its protocol. Each worker has its own object for a forward; they
//            share the host socket and nothing else.
// Thread: the worker's.
#pragma once

#include <memory>
#include <vector>

#include "admission.h"
#include "counters.h"
#include "proxy_accept.h"
#include "reactor.h"
#include "target.h"

namespace spliceport {

// The host socket: closed when the last worker has let go of it.
using SharedFd = std::shared_ptr<const UniqueFd>;

struct ForwardConfig {
  int id = 0;
  Protocol protocol = Protocol::kTcp;
  SharedFd host_socket;
  TargetPtr target;
  Limits limits;
  SourceAddress source_address = SourceAddress::kContainer;
  ProxyTrustPtr accept_proxy;
  AdmissionPtr admission;
  // Whether this worker's part takes new connections; if not, it serves those that come to it from another worker.
  bool accepts = true;
};

class Forward : public Mortal {
 public:
  // In force for the next connection or datagram.
  virtual void Retarget(TargetPtr target) = 0;
  // Lets go of the host socket once nothing needs it. With `drain`, what is already queued there is served.
  virtual void StopAccepting(bool drain) = 0;
  // Ends all sessions or flows at once.
  virtual void CloseAll() = 0;
  // Accepts nothing and has no session or flow left.
  virtual bool Done() const = 0;
  virtual void Describe(std::vector<SessionInfo>& sessions) const = 0;
  virtual const TargetPtr& target() const = 0;
};

// Told when a forward that has stopped accepting is done.
class ForwardOwner {
 public:
  virtual void OnForwardDone(int id) = 0;

 protected:
  ~ForwardOwner() = default;
};

}  // namespace spliceport
