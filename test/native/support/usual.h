// usual.h: what engines and forwards of tests have where a test does not say otherwise. The engine
// itself has no defaults: the library gives it everything, by src/spec/fields.ts.
#pragma once

#include "relay/forward.h"
#include "relay/forward_types.h"
#include "relay/reactor.h"

namespace spliceport {

struct UsualSettings {
  int workers = 2;
  size_t acceptors = 1;  // So that a test knows where sessions begin.
  int64_t spin_micros = 0;
  size_t pipe_capacity_bytes = 1 << 20;
  uint32_t near_rtt_micros = 500;

  // NOLINTNEXTLINE(google-explicit-constructor): stands for one everywhere.
  constexpr operator Settings() const {
    return {workers, acceptors, spin_micros, pipe_capacity_bytes, near_rtt_micros};
  }
};

struct UsualLimits {
  int64_t connect_timeout_micros = 10'000'000;
  int64_t udp_timeout_micros = 90'000'000;
  size_t max_flows = 16'384;
  Keepalive keepalive{15, 15, 9};
  bool udp_segmentation = true;
  int64_t wait_for_server_micros = 0;

  // NOLINTNEXTLINE(google-explicit-constructor): stands for one everywhere.
  constexpr operator Limits() const {
    return {connect_timeout_micros, udp_timeout_micros,    max_flows, keepalive,
            udp_segmentation,       wait_for_server_micros};
  }
};

inline ForwardConfig UsualForward(TargetPtr target, Protocol protocol = Protocol::kTcp) {
  ForwardConfig config;
  config.id = 1;
  config.protocol = protocol;
  config.target = std::move(target);
  config.limits = UsualLimits();
  return config;
}

}  // namespace spliceport
