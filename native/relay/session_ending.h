// session_ending.h: why a session or flow ended, or was rejected.
// Thread: any; values.
#pragma once

#include <cstdint>

namespace spliceport {

// src/types.ts documents each.
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
