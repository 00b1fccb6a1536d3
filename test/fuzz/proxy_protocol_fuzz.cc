// What a load balancer may send, whatever it is.

#include <cstdlib>

#include "proxy/proxy_protocol.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace spliceport;
  const std::span bytes(reinterpret_cast<const char*>(data), size);
  for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp}) {
    const ProxyReading reading = ReadProxyHeader(bytes, protocol);
    if (reading.verdict != ProxyVerdict::kWhole) continue;
    if (reading.size > size) std::abort();
    // Incomplete without its last byte, and the same when it is written again.
    if (ReadProxyHeader(bytes.first(reading.size - 1), protocol).verdict !=
        ProxyVerdict::kIncomplete)
      std::abort();
    if (!reading.header.ends) continue;
    const std::string written = WriteProxyHeader(ProxyVersion::k2, protocol, reading.header);
    const ProxyReading again = ReadProxyHeader(written, protocol);
    if (again.verdict != ProxyVerdict::kWhole || again.size != written.size() ||
        again.header.unique_id != reading.header.unique_id)
      std::abort();
  }
  return 0;
}
