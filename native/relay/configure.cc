#include "relay/configure.h"

#include <utility>

namespace spliceport {

namespace {

constexpr int64_t kMicrosPerMilli = 1'000;
constexpr int64_t kMillisPerSecond = 1'000;

int SecondsFrom(int64_t millis) {
  return static_cast<int>((millis + kMillisPerSecond - 1) / kMillisPerSecond);
}

}  // namespace

Settings SettingsFrom(const EngineFields& fields, size_t acceptors) {
  return {.workers = static_cast<int>(fields.workers),
          .acceptors = acceptors,
          .spin_micros = static_cast<int64_t>(fields.spin_micros),
          .pipe_capacity_bytes = fields.pipe_capacity_bytes,
          .near_rtt_micros = fields.near_rtt_micros};
}

AdmissionRulesPtr Configure(ForwardConfig& config, ForwardFields fields) {
  config.source_address = fields.source_address;
  config.limits = {.connect_timeout_micros = fields.connect_timeout_ms * kMicrosPerMilli,
                   .udp_timeout_micros = fields.udp_timeout_ms * kMicrosPerMilli,
                   .max_flows = fields.max_flows,
                   .keepalive = {.idle_seconds = SecondsFrom(fields.keepalive_idle_ms),
                                 .interval_seconds = SecondsFrom(fields.keepalive_interval_ms),
                                 .probes = static_cast<int>(fields.keepalive_probes)},
                   .udp_segmentation = fields.udp_segmentation,
                   .wait_for_server_micros = fields.wait_for_server_ms * kMicrosPerMilli};
  if (!fields.trusted_proxies.empty()) {
    config.trusted_proxies = std::make_shared<const TrustedProxies>(
        TrustedProxies{.sources = std::move(fields.trusted_proxies),
                       .header_timeout_micros = fields.proxy_header_timeout_ms * kMicrosPerMilli});
  }
  AdmissionRules rules{.allow = std::move(fields.allow),
                       .deny = std::move(fields.deny),
                       .max_sessions = fields.max_sessions,
                       .max_sessions_per_second = fields.max_sessions_per_second,
                       .max_sessions_per_client = fields.max_sessions_per_client};
  if (rules.limits_nothing()) return nullptr;
  return std::make_shared<const AdmissionRules>(std::move(rules));
}

}  // namespace spliceport
