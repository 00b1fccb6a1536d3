#include "proxy/proxy_protocol.h"

#include <doctest/doctest.h>

#include <random>
#include <string_view>

namespace spliceport {

namespace {

using namespace std::string_literals;
using namespace std::string_view_literals;

constexpr std::string_view kSignature = "\r\n\r\n\0\r\nQUIT\n"sv;

ProxyReading Read(std::string_view text, Protocol protocol = Protocol::kTcp) {
  return ReadProxyHeader({text.data(), text.size()}, protocol);
}

bool IsMalformed(std::string_view text, Protocol protocol = Protocol::kTcp) {
  return Read(text, protocol).verdict == ProxyVerdict::kMalformed;
}

// The header is whole, as long as the text, and names nobody.
bool NamesNobody(std::string_view text, Protocol protocol = Protocol::kTcp) {
  const ProxyReading reading = Read(text, protocol);
  return reading.verdict == ProxyVerdict::kWhole && reading.size == text.size() &&
         !reading.header.ends;
}

ProxyHeader HeaderOf(const std::string& client, const std::string& destination,
                     const std::string& unique_id = "") {
  return {ProxyEnds{*Address::Parse(client, 51'000), *Address::Parse(destination, 443)}, unique_id};
}

// Version 2 with a body of any kind.
std::string Version2(int command, int family, std::string_view body) {
  std::string bytes(kSignature);
  bytes += static_cast<char>(command);
  bytes += static_cast<char>(family);
  bytes += static_cast<char>(body.size() >> 8);
  bytes += static_cast<char>(body.size());
  return bytes.append(body);
}

constexpr std::string_view kInetBody = "\x0a\x01\x02\x03\x0a\x01\x02\x04\x00\x50\x01\xbb"sv;

std::string InetWith(std::string_view records) {
  return Version2(0x21, 0x11, std::string(kInetBody).append(records));
}

void CheckRoundTrip(ProxyVersion version, Protocol protocol, const ProxyHeader& header) {
  const std::string bytes = WriteProxyHeader(version, protocol, header);
  for (size_t size = 0; size < bytes.size(); ++size)
    CHECK(Read(bytes.substr(0, size), protocol).verdict == ProxyVerdict::kIncomplete);
  const ProxyReading reading = Read(bytes + "PROXY behind it", protocol);
  REQUIRE(reading.verdict == ProxyVerdict::kWhole);
  CHECK(reading.size == bytes.size());
  REQUIRE(reading.header.ends.has_value());
  CHECK(reading.header.ends->client == header.ends->client);
  CHECK(reading.header.ends->destination == header.ends->destination);
  CHECK(reading.header.unique_id == (version == ProxyVersion::k2 ? header.unique_id : ""));
}

}  // namespace

TEST_CASE("proxy: what is written is read again, byte by byte, and what is behind it stays") {
  for (const auto& header :
       {HeaderOf("192.0.2.1", "198.51.100.7"), HeaderOf("2001:db8::1", "fd00::7", "id-1"),
        HeaderOf("255.255.255.255", "255.255.255.255", std::string(128, 'x'))}) {
    CheckRoundTrip(ProxyVersion::k1, Protocol::kTcp, header);
    CheckRoundTrip(ProxyVersion::k2, Protocol::kTcp, header);
    CheckRoundTrip(ProxyVersion::k2, Protocol::kUdp, header);
  }
}

TEST_CASE("proxy: headers are written as the specification has them") {
  const auto v4 = HeaderOf("192.0.2.1", "198.51.100.7");
  CHECK(WriteProxyHeader(ProxyVersion::k1, Protocol::kTcp, v4) ==
        "PROXY TCP4 192.0.2.1 198.51.100.7 51000 443\r\n");
  CHECK(WriteProxyHeader(ProxyVersion::k1, Protocol::kTcp, HeaderOf("2001:db8::1", "::1")) ==
        "PROXY TCP6 2001:db8::1 ::1 51000 443\r\n");
  CHECK(WriteProxyHeader(ProxyVersion::k1, Protocol::kTcp, {}) == "PROXY UNKNOWN\r\n");
  CHECK(WriteProxyHeader(ProxyVersion::k1, Protocol::kTcp,
                         HeaderOf("::ffff:192.0.2.1", "::ffff:198.51.100.7")) ==
        "PROXY TCP4 192.0.2.1 198.51.100.7 51000 443\r\n");
  CHECK(WriteProxyHeader(ProxyVersion::k1, Protocol::kTcp, HeaderOf("192.0.2.1", "::1")) ==
        "PROXY TCP6 ::ffff:192.0.2.1 ::1 51000 443\r\n");
  const std::string ends = "\xc0\x00\x02\x01\xc6\x33\x64\x07\xc7\x38\x01\xbb"s;
  CHECK(WriteProxyHeader(ProxyVersion::k2, Protocol::kTcp, v4) == Version2(0x21, 0x11, ends));
  CHECK(WriteProxyHeader(ProxyVersion::k2, Protocol::kUdp, v4) == Version2(0x21, 0x12, ends));
  CHECK(WriteProxyHeader(ProxyVersion::k2, Protocol::kTcp,
                         HeaderOf("192.0.2.1", "198.51.100.7", "ab")) ==
        Version2(0x21, 0x11, ends + "\x05\x00\x02"s + "ab"));
  CHECK(WriteProxyHeader(ProxyVersion::k2, Protocol::kUdp, {}) == Version2(0x21, 0x00, ""));
}

TEST_CASE("proxy v1: the longest line is read, and a longer one is refused as soon as it is") {
  const std::string longest =
      "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
  CHECK(Read(longest).size == 104);
  const std::string unknown = "PROXY UNKNOWN " + std::string(91, 'x');
  CHECK(NamesNobody(unknown + "\r\n"));
  CHECK(Read(unknown + "x").verdict == ProxyVerdict::kIncomplete);
  CHECK(IsMalformed(unknown + "x\r\n"));
  CHECK(IsMalformed(unknown + "xx"));
}

TEST_CASE("proxy v1: what is no header is refused at its first wrong byte") {
  for (const char* text : {"G", "PROXX", "proxy ", "\r\n\r\n\r", "PROXY TCP4 1.2.3.4\n", "\n",
                           "PROXY TCP4 1.2.3.4 \rx"})
    CHECK_MESSAGE(IsMalformed(text), text);
  CHECK(NamesNobody("PROXY UNKNOWN\r\n"));
  CHECK(NamesNobody("PROXY UNKNOWN ff::1 whatever 1 2\r\n"));
}

TEST_CASE("proxy v1: a line that is not exactly as specified is refused") {
  for (const std::string_view rest : {"TCP4 1.2.3.4 1.2.3.5 1"sv,
                                      "TCP4 1.2.3.4 1.2.3.5 1 2 3"sv,
                                      "TCP4 1.2.3.4 1.2.3.5 1 "sv,
                                      "TCP4  1.2.3.4 1.2.3.5 1 2"sv,
                                      "TCP4 1.2.3.4 1.2.3.5 1 2 "sv,
                                      "TCP4 1.2.3.4 ::1 1 2"sv,
                                      "TCP6 1.2.3.4 1.2.3.5 1 2"sv,
                                      "TCP4 ::1 ::2 1 2"sv,
                                      "TCP4 1.2.3.4 1.2.3.5 1 65536"sv,
                                      "TCP4 1.2.3.4 1.2.3.5 -1 2"sv,
                                      "TCP4 1.2.3.4 1.2.3.5 +1 2"sv,
                                      "TCP4 1.2.3.4 1.2.3.5 01 2"sv,
                                      "TCP4 1.2.3.4 1.2.3.5 1 0x2"sv,
                                      "TCP4 01.2.3.4 1.2.3.5 1 2"sv,
                                      "TCP4 1.2.3 1.2.3.5 1 2"sv,
                                      "TCP6 fe80::1%lo ::1 1 2"sv,
                                      "TCP6 [::1] ::1 1 2"sv,
                                      "TCP4 1.2.3.4\0 1.2.3.5 1 2"sv,
                                      "TCP4 0.0.0.0 1.2.3.5 1 2"sv,
                                      "TCP5 1.2.3.4 1.2.3.5 1 2"sv,
                                      "UNKNOWNS"sv,
                                      ""sv,
                                      "UDP4 1.2.3.4 1.2.3.5 1 2"sv,
                                      "TCP4"sv})
    CHECK_MESSAGE(IsMalformed("PROXY " + std::string(rest) + "\r\n"), rest);
  CHECK(Read("PROXY TCP4 1.2.3.4 1.2.3.5 0 65535\r\n").verdict == ProxyVerdict::kWhole);
}

TEST_CASE(
    "proxy v2: a sender that speaks for itself, or for what has no IP address, names nobody") {
  CHECK(NamesNobody(Version2(0x20, 0x00, "")));
  CHECK(NamesNobody(Version2(0x20, 0xff, "whatever")));
  CHECK(NamesNobody(Version2(0x21, 0x00, "")));
  CHECK(NamesNobody(Version2(0x21, 0x00, "whatever")));
  CHECK(NamesNobody(Version2(0x21, 0x31, std::string(216, 'u'))));
  CHECK(NamesNobody(Version2(0x21, 0x10, kInetBody)));
  CHECK(NamesNobody(Version2(0x20, 0x00, ""), Protocol::kUdp));
}

TEST_CASE("proxy v2: what is not as specified is refused") {
  CHECK(IsMalformed(Version2(0x11, 0x11, kInetBody)));                  // Version 1.
  CHECK(IsMalformed(Version2(0x22, 0x11, kInetBody)));                  // No such command,
  CHECK(IsMalformed(Version2(0x21, 0x41, kInetBody)));                  // family,
  CHECK(IsMalformed(Version2(0x21, 0x13, kInetBody)));                  // or transport.
  CHECK(IsMalformed(Version2(0x21, 0x12, kInetBody)));                  // A datagram on a stream,
  CHECK(IsMalformed(Version2(0x21, 0x11, kInetBody), Protocol::kUdp));  // and the reverse.
  CHECK(IsMalformed(Version2(0x21, 0x11, kInetBody.substr(1))));        // Too short.
  CHECK(IsMalformed(Version2(0x21, 0x21, std::string(35, 'x'))));
  CHECK(IsMalformed(Version2(0x21, 0x31, std::string(215, 'x'))));
  CHECK(IsMalformed(Version2(0x21, 0x11, "\0\0\0\0"s + std::string(8, 'x'))));  // From 0.0.0.0.
  CHECK(IsMalformed("PROXY TCP4 1.2.3.4 1.2.3.5 1 2\r\n", Protocol::kUdp));
  // Longer than is read; known as soon as the length is.
  CHECK(IsMalformed(std::string(kSignature) + "\x21\x11\x0f\xf1"s));
  CHECK(Read(std::string(kSignature) + "\x21\x11\x0f\xf0"s).verdict == ProxyVerdict::kIncomplete);
}

TEST_CASE("proxy v2: records must fit, and a checksum must be right") {
  CHECK(Read(InetWith("\x05\x00\x02id"sv)).header.unique_id == "id");
  CHECK(Read(InetWith("\xe0\x00\x00\x04\x00\x01x\x05\x00\x01i"sv)).header.unique_id == "i");
  CHECK(IsMalformed(InetWith("\x05\x00"sv)));
  CHECK(IsMalformed(InetWith("\x05\x00\x02i"sv)));
  CHECK(IsMalformed(InetWith("\x05\x00\x81"s + std::string(129, 'x'))));
  CHECK(IsMalformed(InetWith("\x03\x00\x03\0\0\0"sv)));
  CHECK(IsMalformed(InetWith("\x03\x00\x04\0\0\0\0"sv)));
  // Computed bit by bit, as the definition of CRC32C has it.
  std::string header = InetWith("\x03\x00\x04\0\0\0\0"sv);
  uint32_t crc = UINT32_MAX;
  for (const char byte : header) {
    crc ^= static_cast<uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0);
  }
  crc = ~crc;
  for (size_t i = 0; i < 4; ++i)
    header[header.size() - 4 + i] = static_cast<char>(crc >> (24 - 8 * i));
  CHECK(Read(header).verdict == ProxyVerdict::kWhole);
  header[20] ^= 1;
  CHECK(IsMalformed(header));
}

TEST_CASE(
    "proxy: whatever the bytes, the verdict is one of three, and what is whole lies within them") {
  std::mt19937 random(20'260'101);
  const std::string seeds[] = {
      "PROXY TCP4 192.0.2.1 198.51.100.7 51000 443\r\n",
      "PROXY TCP6 2001:db8::1 ::1 51000 443\r\n",
      InetWith("\x05\x00\x02id\x03\x00\x04\0\0\0\0"sv),
      Version2(0x21, 0x21, std::string(40, '\1')),
      std::string(kSignature),
      "",
  };
  for (int round = 0; round < 200'000; ++round) {
    std::string text = seeds[random() % std::size(seeds)];
    for (unsigned change = random() % 4; change > 0; --change) {
      if (!text.empty() && random() % 4 != 0) {
        text[random() % text.size()] = static_cast<char>(random());
      } else {
        text.insert(random() % (text.size() + 1), 1 + random() % 8, static_cast<char>(random()));
      }
    }
    const Protocol protocol = random() % 2 == 0 ? Protocol::kTcp : Protocol::kUdp;
    const ProxyReading reading = Read(text, protocol);
    if (reading.verdict != ProxyVerdict::kWhole) continue;
    REQUIRE(reading.size <= text.size());
    // A whole header stays what it is, whatever follows, and was incomplete before.
    REQUIRE(Read(text + "x", protocol).size == reading.size);
    REQUIRE(Read(text.substr(0, reading.size - 1), protocol).verdict == ProxyVerdict::kIncomplete);
  }
}

}  // namespace spliceport
