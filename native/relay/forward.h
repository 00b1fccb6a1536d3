// forward.h: what a worker needs of a forward of either protocol. Each worker has an object of its
//            own for a forward; these parts share the host socket, the target, and the admission.
// Thread: the worker's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "proxy/trusted_proxies.h"
#include "relay/admission.h"
#include "relay/counters.h"
#include "relay/first_failure.h"
#include "relay/forward_types.h"
#include "relay/reactor.h"
#include "relay/session_log.h"
#include "relay/setting_fields.h"

namespace spliceport {

// The host socket; closed with the last reference.
using SharedFd = std::shared_ptr<const UniqueFd>;

struct ForwardConfig {
  // Unique within the engine.
  int id = 0;
  Protocol protocol = Protocol::kTcp;
  SharedFd host_socket;
  TargetPtr target;
  Limits limits;
  SourceAddress source_address = SourceAddress::kContainer;
  TrustedProxiesPtr trusted_proxies;
  AdmissionPtr admission;
  SessionLogPtr session_log;
  // The engine sets it.
  FirstFailurePtr first_failure;
  // Its owner: counters are also summed by owner.
  int owner = 0;
  // Whether this worker's part accepts new connections. If not, it only serves sessions that move
  // to it from another worker, and those of a backlog that is shared.
  bool accepts = true;
};

// How far a worker has come with a list of its sessions. Each costs a system call, so the list is
// made in pieces, between which the worker serves its clients.
struct SessionListing {
  // The number of sessions, or empty hash buckets, that are visited in a turn.
  static constexpr size_t kPiece = 256;

  uint32_t number = 0;  // Different for each listing of an engine.
  std::vector<SessionInfo> sessions;
  // The next forward is the first with at least this id.
  int next_id = 0;
  // Within that forward: for TCP an index, for UDP a bucket. Empty before it has begun.
  std::optional<size_t> place;
  size_t places = 0;
  bool done = false;
};

class Forward : public Deletable {
 public:
  // Takes effect with the next connection or datagram.
  virtual void Retarget(TargetPtr target) = 0;
  // Releases the host socket. With `drain`, clients that wait in its queue are accepted first.
  virtual void StopAccepting(bool drain) = 0;
  // Ends all sessions or flows at once.
  virtual void CloseAll() = 0;
  // It has released the host socket and has no session or flow left.
  virtual bool Done() const = 0;
  // Adds sessions to the list and subtracts what it visited from `left`. True after the last.
  virtual bool Describe(SessionListing& listing, size_t& left) = 0;
  virtual const TargetPtr& target() const = 0;
};

}  // namespace spliceport
