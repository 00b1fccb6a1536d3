// forward.h: what a worker asks of a forward, whatever its protocol. Each worker has its own object for a forward; they
//            share the host socket and nothing else.
// Thread: the worker's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "proxy/proxy_trust.h"
#include "relay/admission.h"
#include "relay/counters.h"
#include "relay/reactor.h"
#include "relay/session_log.h"
#include "relay/target.h"

namespace spliceport {

// The host socket: closed when the last worker has let go of it.
using SharedFd = std::shared_ptr<const UniqueFd>;

struct ForwardConfig {
  // One of a kind within the engine.
  int id = 0;
  Protocol protocol = Protocol::kTcp;
  SharedFd host_socket;
  TargetPtr target;
  Limits limits;
  SourceAddress source_address = SourceAddress::kContainer;
  ProxyTrustPtr accept_proxy;
  AdmissionPtr admission;
  SessionLogPtr session_log;
  // Whose it is: counters are also summed by owner.
  int owner = 0;
  // Whether this worker's part takes new connections; if not, it serves those that come to it from another worker.
  bool accepts = true;
};

// How far a worker has come in a list of its sessions. Each costs a system call, so between two pieces others have their turn.
struct SessionListing {
  // The most sessions, or empty places where one might be, that are looked at in a turn.
  static constexpr size_t kPiece = 256;

  uint32_t number = 0;  // Another for each listing of an engine.
  std::vector<SessionInfo> sessions;
  // The next forward is the first with at least this id.
  int next_id = 0;
  // Within that forward, which alone knows what they mean; nothing before it has begun.
  std::optional<size_t> place;
  size_t places = 0;
  bool done = false;
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
  // Adds some sessions and takes what it looked at off `left`. True when those were the last.
  virtual bool Describe(SessionListing& listing, size_t& left) = 0;
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
