// default_settings.h: the defaults of settings. scripts/docs.mjs makes it of src/spec/fields.ts.
// Thread: any.
#pragma once

#include <cstdint>

namespace spliceport::defaults {

inline constexpr uint32_t kWorkers = 2;
inline constexpr uint32_t kSpinMicros = 0;
inline constexpr uint32_t kPipeCapacityBytes = 1'048'576;
inline constexpr uint32_t kNearRttMicros = 500;
inline constexpr uint32_t kConnectTimeoutMs = 10'000;
inline constexpr uint32_t kKeepaliveIdleMs = 15'000;
inline constexpr uint32_t kKeepaliveIntervalMs = 15'000;
inline constexpr uint32_t kKeepaliveProbes = 9;
inline constexpr uint32_t kUdpTimeoutMs = 90'000;
inline constexpr bool kUdpSegmentation = true;
inline constexpr uint32_t kMaxSessions = 0;
inline constexpr uint32_t kMaxSessionsPerSecond = 0;
inline constexpr uint32_t kMaxFlows = 16'384;
inline constexpr bool kAcceptProxy = false;
inline constexpr uint32_t kProxyHeaderTimeoutMs = 3'000;

}  // namespace spliceport::defaults
