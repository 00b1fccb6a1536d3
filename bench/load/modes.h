// modes.h: what the program can do, one function per first argument, and what TCP client and server
//          agree upon.
#pragma once

#include <stdint.h>

#include "options.h"

namespace spliceport::bench {

// The first bytes of every TCP connection tell the server what it is for. Both ends run on one
// machine, so the fields are in its byte order.
struct Hello {
  enum Kind : uint32_t { kSink = 1, kSource = 2, kAnswer = 3, kEcho = 4 };

  uint32_t kind;
  uint32_t request_bytes;   // kAnswer: a message of this size ...
  uint32_t response_bytes;  // ... is answered by one of this size.
};

// Each returns the exit code.
int Serve(Options& options);
int Bulk(Options& options);
int RequestResponse(Options& options);
int ConnectRequestResponse(Options& options);
int HoldIdle(Options& options);
int SendUdp(Options& options);
int UdpRequestResponse(Options& options);
int Reload(Options& options);
int BeBusy(Options& options);
int Launch(Options& options);
int Echo(Options& options);

}  // namespace spliceport::bench
