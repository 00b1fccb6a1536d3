// What a load balancer may send, whatever it is.

#include "expect.h"
#include "proxy/proxy_protocol.h"

namespace spliceport {

namespace {

// What is written is read whole, and written again the same. What was read may have had more than
// one form.
void ExpectSame(ProxyVersion version, Protocol protocol, const ProxyHeader& header) {
  const std::string written = WriteProxyHeader(version, protocol, header);
  const ProxyReading again = ReadProxyHeader(written, protocol);
  Expect(again.verdict == ProxyVerdict::kWhole && again.size == written.size());
  Expect(again.header.ends.has_value() == header.ends.has_value());
  Expect(WriteProxyHeader(version, protocol, again.header) == written);
  if (version == ProxyVersion::k2 && header.ends)
    Expect(again.header.unique_id == header.unique_id);
  if (!header.ends) return;
  Expect(again.header.ends->client.Unmapped() == header.ends->client.Unmapped());
  Expect(again.header.ends->destination.Unmapped() == header.ends->destination.Unmapped());
}

void Try(std::span<const char> bytes, Protocol protocol) {
  const ProxyReading reading = ReadProxyHeader(bytes, protocol);
  if (reading.verdict != ProxyVerdict::kWhole) return;
  Expect(reading.size <= bytes.size());
  const auto cut = bytes.first(reading.size - 1);
  Expect(ReadProxyHeader(cut, protocol).verdict == ProxyVerdict::kIncomplete);
  ExpectSame(ProxyVersion::k2, protocol, reading.header);
  if (protocol == Protocol::kTcp) ExpectSame(ProxyVersion::k1, protocol, reading.header);
}

}  // namespace

}  // namespace spliceport

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using spliceport::Protocol;
  for (const Protocol protocol : {Protocol::kTcp, Protocol::kUdp})
    spliceport::Try({reinterpret_cast<const char*>(data), size}, protocol);
  return 0;
}
