// proxy_accept.h: who may tell of other clients by a PROXY header, and how the header is taken from a stream.
// Owns:   nothing. Borrows the client's socket. Thread: the worker that owns the session.
// Fails:  kMalformed, also when the stream ends or dies before its header is whole.
// Kernel: MSG_PEEK in recv(2): what is behind the header stays in the socket for the pump.
#pragma once

#include <cstdint>
#include <memory>

#include "cidr.h"
#include "proxy_protocol.h"
#include "pump.h"

namespace spliceport {

struct ProxyTrust {
  CidrList sources;
  int64_t header_timeout_micros = 3'000'000;
};
// Null where no header is read.
using ProxyTrustPtr = std::shared_ptr<const ProxyTrust>;

// kIncomplete: an edge on the socket goes on.
ProxyReading TakeProxyHeader(Reactor& reactor, StreamEnd& client);

}  // namespace spliceport
