// proxy_header.h: receives the PROXY header of a connection.
// Owns:   nothing. Borrows the client's socket.
// Thread: the worker that owns the session.
// Fails:  kMalformed, also if the stream ends or dies before its header is complete.
// Kernel: MSG_PEEK in recv(2): what follows the header stays in the socket for the pump.
#pragma once

#include "proxy/proxy_protocol.h"
#include "relay/pump.h"

namespace spliceport {

// kIncomplete: call it again after an edge on the socket.
ProxyReading ReceiveProxyHeader(Reactor& reactor, StreamEnd& client);

}  // namespace spliceport
