// proxy_support.h: forwards that write or read PROXY headers, and the headers themselves.
#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>

#include "support/usual.h"

namespace spliceport {

inline ForwardConfig Writing(SourceAddress source_address, TargetPtr target,
                             Protocol protocol = Protocol::kTcp) {
  ForwardConfig config = UsualForward(std::move(target), protocol);
  config.source_address = source_address;
  return config;
}

// Reads headers, and writes what they said.
inline ForwardConfig Believing(TargetPtr target, Protocol protocol = Protocol::kTcp,
                               const std::string& trusted = "127.0.0.0/8") {
  ForwardConfig config = Writing(SourceAddress::kProxyV2, std::move(target), protocol);
  auto trust = std::make_shared<TrustedProxies>();
  trust->sources = CidrList({*Cidr::Parse(trusted)});
  trust->header_timeout_micros = 300'000;
  config.trusted_proxies = trust;
  return config;
}

inline std::string HeaderFrom(const std::string& client, ProxyVersion version = ProxyVersion::k2,
                              Protocol protocol = Protocol::kTcp) {
  const ProxyEnds ends{*Address::Parse(client, 51'000), *Address::Parse("192.0.2.80", 443)};
  return WriteProxyHeader(version, protocol, {ends, "upstream"});
}

// Of a PROXY header and what is behind it.
struct Introduced {
  ProxyEnds ends;
  std::string unique_id;
  std::string rest;
};

inline Introduced Split(const std::string& bytes, Protocol protocol = Protocol::kTcp) {
  const ProxyReading reading = ReadProxyHeader(bytes, protocol);
  REQUIRE(reading.verdict == ProxyVerdict::kWhole);
  REQUIRE(reading.header.ends.has_value());
  return {*reading.header.ends, reading.header.unique_id, bytes.substr(reading.size)};
}

}  // namespace spliceport
