// session_ending.h: the ways in which a session or flow ends, also one that never began.
#pragma once

#include <cstdint>

namespace spliceport {

// What src/types.ts says of each.
enum class SessionEnding : uint8_t {
  kFin,
  kClientReset,
  kServerReset,
  kRemoved,
  kAddressGone,
  kLocalFailure,
  kIdleTimeout,
  kEvicted,
  kConnectFailed,
  kConnectTimeout,
  kDenied,
  kOverLimit,
  kOverRate,
  kProxyUntrusted,
  kProxyMalformed,
  kProxyLate,
};

}  // namespace spliceport
