// transparent.h: sockets that connect to a server from its client's own address and port, by
//                IP_TRANSPARENT in ip(7).
// Owns:   nothing. The lease keeps the server's way back open, and must live as long as the socket.
// Thread: the worker's, which is already in the container's namespace.
// Fails:  SysError if the client's address cannot be used. The caller may then connect as usual.
#pragma once

#include "net/socket.h"
#include "routes/client_routes.h"

namespace spliceport {

struct ClientSocket {
  UniqueFd fd;
  ClientLeasePtr lease;
};

// Whether a client of another family than the target's may be led to RouteRegistry::CounterpartOf.
// It is not known whether a server listens there.
enum class Counterpart : uint8_t { kAllowed, kAvoided };

// A socket that connects to the target, as after StartConnect; for UDP, connected. The lease has
// the address that it connects to.
Result<ClientSocket> ConnectAsClient(ClientRoutes& routes, const NetnsPtr& netns, Protocol protocol,
                                     const Address& client, const Address& target,
                                     Counterpart counterpart);

// Whether that is permitted and supported in the namespace; -1 is the process's own. Removes the
// routes that dead processes have left there.
Result<void> PrepareTransparency(int netns_fd);

}  // namespace spliceport
