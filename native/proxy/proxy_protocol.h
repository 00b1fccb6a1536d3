// proxy_protocol.h: the headers of the PROXY protocol, versions 1 and 2, which tell a server who its client is: written
//                   ahead of a stream or a datagram, and read from what a load balancer sent.
// Owns:   nothing: bytes in, values out, and back. Thread: any.
// Fails:  a header that breaks the specification is kMalformed; nothing is guessed.
// See:    haproxy's doc/proxy-protocol.txt.
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

// Where the client is and where it wanted to go.
struct ProxyEnds {
  Address client;
  Address destination;
};

struct ProxyHeader {
  // Nothing: whoever sent the header speaks for itself, or for something that has no IP address.
  std::optional<ProxyEnds> ends;
  std::string unique_id;  // Bytes without a meaning of their own; "" for none.
};

enum class ProxyVerdict : uint8_t { kIncomplete, kWhole, kMalformed };

struct ProxyReading {
  ProxyVerdict verdict = ProxyVerdict::kMalformed;
  size_t size = 0;  // Of the header, when it is whole; what is behind it is not the header's.
  ProxyHeader header;
};

// The longest that is read. A version 2 header may announce 64 KiB, which nobody needs to name a client.
inline constexpr size_t kMostProxyHeaderBytes = 4'096;

// Reads the header that `bytes` begin with, as far as they have come. Datagrams have version 2 alone.
ProxyReading ReadProxyHeader(std::span<const char> bytes, Protocol protocol);

// Version 1 has no place for datagrams and ids.
std::string WriteProxyHeader(ProxyVersion version, Protocol protocol, const ProxyHeader& header);

}  // namespace spliceport
