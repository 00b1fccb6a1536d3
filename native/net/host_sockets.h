// host_sockets.h: opens the host sockets of many forwards at once.
// Thread: any; sockets are created in the calling thread's namespace. Of many, a thread of its own
//         opens half.
// Fails:  the first failure by the order of the requests. The sockets before it are there as well.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "net/address.h"
#include "net/socket.h"

namespace spliceport {

struct HostSocketRequest {
  Protocol protocol = Protocol::kTcp;
  Address address;  // Port 0: one that the kernel chooses.
  bool ipv6_only = false;
};

struct HostSocket {
  UniqueFd fd;
  Protocol protocol = Protocol::kTcp;
  uint16_t port = 0;
};

struct HostSockets {
  // In the order of the requests; all of them, if nothing failed.
  std::vector<HostSocket> sockets;
  // Why the next one could not be opened.
  std::optional<SysError> failure;
};

// Appends `count` requests, for successive ports.
void AppendRequests(HostSocketRequest first, uint32_t count,
                    std::vector<HostSocketRequest>& requests);
HostSockets OpenHostSockets(std::span<const HostSocketRequest> requests);

}  // namespace spliceport
