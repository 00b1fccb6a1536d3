// setting_fields.h: the settings of engines and forwards, with their defaults. Made from
//                   src/spec/fields.ts by scripts/docs.mjs.
// Thread: any. Plain values.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "net/cidr.h"

namespace spliceport {

struct EngineFields {
  uint32_t workers = 2;
  uint64_t spin_micros = 0;
  uint64_t pipe_capacity_bytes = 1'048'576;
  uint32_t near_rtt_micros = 500;
};

enum class SourceAddress : uint8_t { kContainer, kTransparent, kProxyV1, kProxyV2 };
// In the same order.
inline constexpr std::array kSourceAddressNames{"container", "transparent", "proxy-v1", "proxy-v2"};

struct ForwardFields {
  uint32_t connect_timeout_ms = 10'000;
  uint32_t wait_for_server_ms = 0;
  uint32_t keepalive_idle_ms = 15'000;
  uint32_t keepalive_interval_ms = 15'000;
  uint32_t keepalive_probes = 9;
  uint32_t udp_timeout_ms = 90'000;
  bool udp_segmentation = true;
  uint32_t max_sessions = 0;
  uint32_t max_sessions_per_second = 0;
  uint32_t max_sessions_per_client = 0;
  CidrList allow;
  CidrList deny;
  uint32_t max_flows = 16'384;
  SourceAddress source_address = SourceAddress::kContainer;
  bool accept_proxy = false;
  CidrList trusted_proxies;
  uint32_t proxy_header_timeout_ms = 3'000;
};

// Calls `visit(name, member)` for each setting, in the order of messages to a shim.
void EachEngineField(auto& settings, const auto& visit) {
  visit("workers", settings.workers);
  visit("spinMicros", settings.spin_micros);
  visit("pipeCapacityBytes", settings.pipe_capacity_bytes);
  visit("nearRttMicros", settings.near_rtt_micros);
}

// The same for those that shims have learned later.
void EachAddedEngineField(auto& /*settings*/, const auto& /*visit*/) {}

// Without `sourceAddress`, and `acceptProxy`, which is whether there are `trustedProxies`.
void EachForwardField(auto& settings, const auto& visit) {
  visit("udpSegmentation", settings.udp_segmentation);
  visit("connectTimeoutMs", settings.connect_timeout_ms);
  visit("udpTimeoutMs", settings.udp_timeout_ms);
  visit("keepaliveIdleMs", settings.keepalive_idle_ms);
  visit("keepaliveIntervalMs", settings.keepalive_interval_ms);
  visit("keepaliveProbes", settings.keepalive_probes);
  visit("maxFlows", settings.max_flows);
  visit("maxSessions", settings.max_sessions);
  visit("maxSessionsPerSecond", settings.max_sessions_per_second);
  visit("proxyHeaderTimeoutMs", settings.proxy_header_timeout_ms);
  visit("allow", settings.allow);
  visit("deny", settings.deny);
  visit("trustedProxies", settings.trusted_proxies);
}

void EachAddedForwardField(auto& settings, const auto& visit) {
  visit("maxSessionsPerClient", settings.max_sessions_per_client);
  visit("waitForServerMs", settings.wait_for_server_ms);
}

// The settings that say who is let in, other than how many.
inline constexpr std::array<std::string_view, 4> kGateNames{
    "allow",
    "deny",
    "acceptProxy",
    "trustedProxies",
};

}  // namespace spliceport
