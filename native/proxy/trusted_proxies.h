// trusted_proxies.h: the peers that may name another client in a PROXY header, and how long the
//                    header may take. A plain value, shared by the workers and never changed.
// Thread: any.
#pragma once

#include <cstdint>
#include <memory>

#include "net/cidr.h"

namespace spliceport {

struct TrustedProxies {
  CidrList sources;
  int64_t header_timeout_micros = 0;
};
// Null if a forward reads no PROXY headers.
using TrustedProxiesPtr = std::shared_ptr<const TrustedProxies>;

}  // namespace spliceport
