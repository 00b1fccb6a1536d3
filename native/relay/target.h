// target.h: where a forward leads, and what is told about the sessions and flows that went there. Plain values.
#pragma once

#include <cstdint>
#include <memory>

#include "net/address.h"
#include "net/setns.h"
#include "net/socket.h"

namespace spliceport {

// Shared by a forward and its sessions; never changed, only replaced.
struct Target {
  NetnsPtr netns;
  Address address;
  // The same place, whoever told of it.
  bool IsSameAs(const Target& other) const {
    return address == other.address && IsSame(netns, other.netns);
  }
};
using TargetPtr = std::shared_ptr<const Target>;

// Whose address the server sees: src/types.ts.
enum class SourceAddress : uint8_t { kContainer, kTransparent, kProxyV1, kProxyV2 };

// Values of none are no defaults: src/spec/fields.ts has those, and the library gives every one.
struct Limits {
  int64_t connect_timeout_micros = 0;
  int64_t flow_timeout_micros = 0;
  size_t most_flows = 0;
  Keepalive keepalive;
  bool udp_segmentation = false;  // Whether trains of datagrams are received and sent as one.
};

enum class SessionState : uint8_t { kConnecting, kOpen, kHalfClosed, kResetting };

struct SessionInfo {
  int forward_id = 0;
  Protocol protocol = Protocol::kTcp;
  SessionState state = SessionState::kOpen;
  Address client;
  Address target;
  // Where the server sees it come from; unspecified before it is connected.
  Address source;
  uint64_t bytes_to_container = 0;
  uint64_t bytes_to_host = 0;
  int64_t age_micros = 0;
};

}  // namespace spliceport
