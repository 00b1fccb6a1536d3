// proxy_trust.h: which connections may name another client by a PROXY header, and how long the header may take.
// A plain value, shared by the workers and never changed.
#pragma once

#include <cstdint>
#include <memory>

#include "net/cidr.h"

namespace spliceport {

struct ProxyTrust {
  CidrList sources;
  int64_t header_timeout_micros = 0;
};
// Null where no header is read.
using ProxyTrustPtr = std::shared_ptr<const ProxyTrust>;

}  // namespace spliceport
