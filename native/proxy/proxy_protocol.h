// proxy_protocol.h: the headers of the PROXY protocol, versions 1 and 2, which tell a server who
//                   its client
//                   is: written ahead of a stream or a datagram, and read from what a load balancer
//                   sent.
// Owns:   nothing: bytes in, values out, and back.
// Thread: any.
// Fails:  a header that violates the specification is kMalformed; nothing is guessed.
// See:    HAProxy's doc/proxy-protocol.txt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "net/address.h"
#include "net/socket.h"

namespace spliceport {

enum class ProxyVersion : uint8_t { k1, k2 };

// The client's address, and the address that it connected to.
struct ProxyEnds {
  Address client;
  Address destination;
};

struct ProxyHeader {
  // Empty if the sender speaks for itself, or for a client without an IP address.
  std::optional<ProxyEnds> ends;
  std::string unique_id;  // Opaque bytes; empty for none.
};

enum class ProxyVerdict : uint8_t { kIncomplete, kWhole, kMalformed };

struct ProxyReading {
  ProxyVerdict verdict = ProxyVerdict::kMalformed;
  size_t size = 0;  // Of the header, if it is complete. What follows is not part of it.
  ProxyHeader header;
};

// The longest header that is read. Version 2 allows 64 KiB, far more than naming a client needs.
inline constexpr size_t kMaxProxyHeaderBytes = 4'096;

// Reads the header at the start of `bytes`, which may be incomplete. Datagrams have version 2 only.
ProxyReading ReadProxyHeader(std::span<const char> bytes, Protocol protocol);

// Version 1 has no room for datagrams and ids.
std::string WriteProxyHeader(ProxyVersion version, Protocol protocol, const ProxyHeader& header);

}  // namespace spliceport
