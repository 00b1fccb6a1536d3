// proxy_header.h: how the PROXY header of a connection is taken from its stream.
// Owns:   nothing. Borrows the client's socket. Thread: the worker that owns the session.
// Fails:  kMalformed, also when the stream ends or dies before its header is whole.
// Kernel: MSG_PEEK in recv(2): what is behind the header stays in the socket for the pump.
#pragma once

#include "proxy/proxy_protocol.h"
#include "relay/pump.h"

namespace spliceport {

// kIncomplete: an edge on the socket goes on.
ProxyReading TakeProxyHeader(Reactor& reactor, StreamEnd& client);

}  // namespace spliceport
