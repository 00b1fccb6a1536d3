// forward_types.h: the target and limits of a forward, and what is reported about its sessions and
//                  flows. Plain values.
// Thread: any.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "net/address.h"
#include "net/setns.h"
#include "net/socket.h"

namespace spliceport {

// Shared by a forward and its sessions. Never changed, only replaced.
struct Target {
  NetnsPtr netns;
  Address address;
  bool IsSameAs(const Target& other) const {
    return address == other.address && IsSame(netns, other.netns);
  }
};
using TargetPtr = std::shared_ptr<const Target>;

// What Configure makes of the settings of a forward.
struct Limits {
  int64_t connect_timeout_micros = 0;
  int64_t udp_timeout_micros = 0;
  size_t max_flows = 0;
  Keepalive keepalive;
  bool udp_segmentation = false;  // Trains of datagrams are received and sent as one.
  // How long a client waits for a server that refuses or cannot be reached. 0: only as long as it
  // takes to try a few times.
  int64_t wait_for_server_micros = 0;
};

enum class SessionState : uint8_t { kConnecting, kOpen, kHalfClosed, kResetting };

// Their names in JavaScript. Between processes a state is its place in this order.
inline constexpr std::array kSessionStateNames = {"connecting", "open", "half-closed", "resetting"};
static_assert(kSessionStateNames.size() == static_cast<size_t>(SessionState::kResetting) + 1);

struct SessionInfo {
  int forward_id = 0;
  Protocol protocol = Protocol::kTcp;
  SessionState state = SessionState::kOpen;
  Address client;
  Address target;
  // The address that the server sees; unspecified before it is connected.
  Address source;
  uint64_t bytes_to_container = 0;
  uint64_t bytes_to_host = 0;
  int64_t age_micros = 0;
};

}  // namespace spliceport
