// From the settings as users know them to what the engine works with.
#include "relay/configure.h"

#include <doctest/doctest.h>

namespace spliceport {

namespace {

CidrList Blocks(const char* text) { return CidrList({*Cidr::Parse(text)}); }

}  // namespace

TEST_CASE("the settings of an engine are taken as they are") {
  const EngineFields fields{
      .workers = 3, .spin_micros = 50, .pipe_capacity_bytes = 8'192, .near_rtt_micros = 70};
  const Settings settings = SettingsFrom(fields, 2);
  CHECK(settings.workers == 3);
  CHECK(settings.acceptors == 2);
  CHECK(settings.spin_micros == 50);
  CHECK(settings.pipe_capacity_bytes == 8'192);
  CHECK(settings.near_rtt_micros == 70);
}

TEST_CASE("a forward without settings has the defaults, and rules for nobody") {
  ForwardConfig config;
  CHECK(Configure(config, {}) == nullptr);
  CHECK(config.limits.connect_timeout_micros == 10'000'000);
  CHECK(config.limits.udp_timeout_micros == 90'000'000);
  CHECK(config.limits.max_flows == 16'384);
  CHECK(config.limits.keepalive.idle_seconds == 15);
  CHECK(config.limits.keepalive.interval_seconds == 15);
  CHECK(config.limits.keepalive.probes == 9);
  CHECK(config.limits.udp_segmentation);
  CHECK(config.limits.wait_for_server_micros == 0);
  CHECK(config.source_address == SourceAddress::kContainer);
  CHECK(config.trusted_proxies == nullptr);
}

TEST_CASE("times of keepalive are rounded up to whole seconds, and 0 turns it off") {
  ForwardConfig config;
  Configure(config, {.keepalive_idle_ms = 0, .keepalive_interval_ms = 1'001});
  CHECK(config.limits.keepalive.idle_seconds == 0);
  CHECK(config.limits.keepalive.interval_seconds == 2);
}

TEST_CASE("clients wait for a server for the time that is set") {
  ForwardConfig config;
  Configure(config, {.wait_for_server_ms = 1'500});
  CHECK(config.limits.wait_for_server_micros == 1'500'000);
}

TEST_CASE("each limit on clients by itself makes rules") {
  ForwardConfig config;
  const Address inside = *Address::Parse("10.1.2.3", 1);

  const auto only = Configure(config, {.allow = Blocks("10.0.0.0/8")});
  REQUIRE(only);
  CHECK(only->allow.Contains(inside));

  const auto without = Configure(config, {.deny = Blocks("10.0.0.0/8")});
  REQUIRE(without);
  CHECK(without->deny.Contains(inside));

  const auto some = Configure(config, {.max_sessions = 5});
  REQUIRE(some);
  CHECK(some->max_sessions == 5);

  const auto slowly = Configure(config, {.max_sessions_per_second = 6});
  REQUIRE(slowly);
  CHECK(slowly->max_sessions_per_second == 6);
}

TEST_CASE("whoever trusts a proxy waits for its header for the time that is set") {
  ForwardConfig config;
  Configure(config, {.trusted_proxies = Blocks("192.0.2.1"), .proxy_header_timeout_ms = 40});
  REQUIRE(config.trusted_proxies);
  CHECK(config.trusted_proxies->sources.Contains(*Address::Parse("192.0.2.1", 1)));
  CHECK(config.trusted_proxies->header_timeout_micros == 40'000);
}

}  // namespace spliceport
