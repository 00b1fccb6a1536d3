#include "tcp/proxy_header.h"

namespace spliceport {

ProxyReading ReceiveProxyHeader(Reactor& reactor, StreamEnd& client) {
  const std::span<char> room = reactor.Scratch().first(kMaxProxyHeaderBytes);
  const Io seen = Peek(client.fd.get(), room);
  if (seen.would_block()) return {ProxyVerdict::kIncomplete, 0, {}};
  if (!seen.moved()) return {};
  ProxyReading reading = ReadProxyHeader(room.first(seen.count), Protocol::kTcp);
  // Nothing comes after the end.
  if (reading.verdict == ProxyVerdict::kIncomplete && client.hung_up) return {};
  if (reading.verdict == ProxyVerdict::kWhole &&
      Receive(client.fd.get(), room.first(reading.size)).count != reading.size)
    return {};
  return reading;
}

}  // namespace spliceport
