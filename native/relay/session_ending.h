// session_ending.h: why a session or flow ended, or was rejected.
// Thread: any; values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace spliceport {

// src/types/session.ts documents each.
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
  kOverClientLimit,
};

// Their names in JavaScript. Between processes an ending is its place in this order.
inline constexpr std::array kSessionEndingNames = {
    "fin",           "client-reset",     "server-reset", "removed",         "address-gone",
    "local-failure", "idle-timeout",     "evicted",      "connect-failed",  "connect-timeout",
    "denied",        "over-limit",       "over-rate",    "proxy-untrusted", "proxy-malformed",
    "proxy-late",    "over-client-limit"};
static_assert(kSessionEndingNames.size() ==
              static_cast<size_t>(SessionEnding::kOverClientLimit) + 1);

}  // namespace spliceport
