// transparent.h: sockets that reach a server from its client's own address and port, by IP_TRANSPARENT in ip(7).
// Owns:   nothing. The lease keeps the server's way back open, and must live as long as the socket.
// Thread: the worker's, which is in the container's namespace already.
// Fails:  SysError whenever the client's address cannot be used; the ordinary way is open then.
#pragma once

#include "net/socket.h"
#include "routes/client_routes.h"

namespace spliceport {

struct ClientSocket {
  UniqueFd fd;
  ClientLeasePtr lease;
};

// Whether a client of another family than the target's may be led to RouteRegistry::CounterpartOf. Nobody has said that
// a server listens there.
enum class Counterpart : uint8_t { kAllowed, kAvoided };

// On its way to the target, as after StartConnect; for UDP, connected. The lease says which address that is.
Result<ClientSocket> ConnectAsClient(ClientRoutes& routes, const NetnsPtr& netns, Protocol protocol,
                                     const Address& client, const Address& target,
                                     Counterpart counterpart);

// Whether that is permitted and supported in the namespace, tried on a thread that ends with the attempt; -1 is the
// process's own. Takes away the routes that dead processes have left there.
Result<void> PrepareTransparency(int netns_fd);

}  // namespace spliceport
