// Version 1 is a line:      PROXY TCP4 192.0.2.1 198.51.100.7 51000 443\r\n with TCP6, or UNKNOWN
//                           and whatever the sender likes, up to 107 bytes in all.
// Version 2 is binary:      12 bytes signature, version and command, family and transport, 2 bytes
//                           length of the rest; then both addresses, both ports, and records of
//                           type, 2 bytes length, value.

#include "proxy/proxy_protocol.h"

#include <arpa/inet.h>

#include <array>
#include <charconv>
#include <cstring>
#include <string_view>

namespace spliceport {

namespace {

constexpr std::string_view kSignature1 = "PROXY ";
constexpr std::string_view kUnknown1 = "PROXY UNKNOWN";
constexpr size_t kMaxBytes1 = 107;
constexpr size_t kWords1 = 6;

constexpr std::string_view kSignature2{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr size_t kFixedBytes2 = 16;
constexpr uint8_t kVersion2 = 2;
enum Command2 : uint8_t { kLocal = 0, kProxy = 1 };
enum Family2 : uint8_t { kUnspecified = 0, kInet = 1, kInet6 = 2, kUnix = 3 };
enum Transport2 : uint8_t { kAnyTransport = 0, kStream = 1, kDatagram = 2 };
// The size of both ends, by family.
constexpr std::array<size_t, 4> kEndsBytes2 = {0, 12, 36, 216};
constexpr size_t kRecordHeadBytes = 3;
constexpr uint8_t kCrc32cRecord = 0x03;
constexpr size_t kCrc32cBytes = 4;
constexpr uint8_t kUniqueIdRecord = 0x05;
constexpr size_t kMaxUniqueIdBytes = 128;

// Bytes in network order.
uint32_t ReadNumber(std::string_view bytes) {
  uint32_t number = 0;
  for (const char byte : bytes)
    number = (number << 8) | static_cast<uint8_t>(byte);
  return number;
}

void AppendUint16(std::string& bytes, size_t number) {
  bytes += static_cast<char>(number >> 8);
  bytes += static_cast<char>(number);
}

bool BeginsLike(std::string_view text, std::string_view signature) {
  const size_t common = std::min(text.size(), signature.size());
  return text.substr(0, common) == signature.substr(0, common);
}

// No client has the address 0.0.0.0.
ProxyReading Whole(size_t size, ProxyHeader header) {
  if (header.ends && header.ends->client.Unmapped().is_unspecified()) return {};
  return {ProxyVerdict::kWhole, size, std::move(header)};
}

// Version 1

std::optional<uint16_t> ReadPort(std::string_view word) {
  uint16_t port = 0;
  const char* const last = word.data() + word.size();
  const auto [end, error] = std::from_chars(word.data(), last, port);
  const bool has_zero_ahead = word.size() > 1 && word.front() == '0';
  if (error != std::errc() || end != last || has_zero_ahead) return {};
  return port;
}

std::optional<Address> ReadEnd(std::string_view word, std::string_view port_word, bool v6) {
  const auto port = ReadPort(port_word);
  // No zone, and no byte at which a C string would end.
  if (!port || word.find_first_not_of("0123456789abcdefABCDEF.:") != std::string_view::npos)
    return {};
  const auto address = Address::Parse(std::string(word), *port);
  if (!address || address->is_v6() != v6) return {};
  return address;
}

ProxyReading ReadVersion1(std::string_view text) {
  text = text.substr(0, kMaxBytes1);
  const size_t end = text.find_first_of("\r\n");
  if (end == std::string_view::npos || (text[end] == '\r' && end + 1 == text.size())) {
    const bool full = text.size() == kMaxBytes1;
    return {full ? ProxyVerdict::kMalformed : ProxyVerdict::kIncomplete, 0, {}};
  }
  if (text.substr(end, 2) != "\r\n") return {};
  std::string_view line = text.substr(0, end);
  const size_t size = end + 2;
  if (line == kUnknown1 || (line.starts_with(kUnknown1) && line[kUnknown1.size()] == ' '))
    return Whole(size, {});
  std::array<std::string_view, kWords1> words;
  for (size_t i = 0; i < kWords1; ++i) {
    const size_t space = line.find(' ');
    // The last word is the remainder; the others end with a space.
    if ((space == std::string_view::npos) != (i == kWords1 - 1)) return {};
    words[i] = line.substr(0, space);
    line.remove_prefix(std::min(space, line.size() - 1) + 1);
  }
  const bool v6 = words[1] == "TCP6";
  if (!v6 && words[1] != "TCP4") return {};
  const auto client = ReadEnd(words[2], words[4], v6);
  const auto destination = ReadEnd(words[3], words[5], v6);
  if (!client || !destination) return {};
  return Whole(size, {ProxyEnds{*client, *destination}, ""});
}

std::string WriteVersion1(const ProxyEnds& ends) {
  const auto text = [](const Address& address) {
    char buffer[INET6_ADDRSTRLEN] = "";
    // Without the zone that Address::Text() adds.
    const void* const bytes =
        address.is_v6() ? static_cast<const void*>(&address.v6()) : &address.v4();
    return std::string(inet_ntop(address.bytes()->sa_family, bytes, buffer, sizeof(buffer)));
  };
  return std::string(ends.client.is_v6() ? "PROXY TCP6 " : "PROXY TCP4 ") + text(ends.client) +
         " " + text(ends.destination) + " " + std::to_string(ends.client.port()) + " " +
         std::to_string(ends.destination.port()) + "\r\n";
}

// Version 2

constexpr std::array<uint32_t, 256> MakeCrc32cTable() {
  constexpr uint32_t kPolynomial = 0x82f63b78;  // Castagnoli's, reversed.
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < table.size(); ++byte) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit)
      value = (value >> 1) ^ ((value & 1) != 0 ? kPolynomial : 0);
    table[byte] = value;
  }
  return table;
}
constexpr auto kCrc32cTable = MakeCrc32cTable();

// Over the header, with the bytes of the checksum at the given offset taken as zero.
uint32_t Crc32cOf(std::string_view header, size_t checksum_at) {
  uint32_t crc = UINT32_MAX;
  for (size_t i = 0; i < header.size(); ++i) {
    const bool is_checksum = i >= checksum_at && i < checksum_at + kCrc32cBytes;
    const uint8_t byte = is_checksum ? 0 : static_cast<uint8_t>(header[i]);
    crc = (crc >> 8) ^ kCrc32cTable[(crc ^ byte) & 0xff];
  }
  return ~crc;
}

Address ReadAddress2(std::string_view bytes, std::string_view port, bool v6) {
  sockaddr_storage storage{};
  storage.ss_family = v6 ? AF_INET6 : AF_INET;
  void* const place = v6 ? static_cast<void*>(&reinterpret_cast<sockaddr_in6&>(storage).sin6_addr)
                         : &reinterpret_cast<sockaddr_in&>(storage).sin_addr;
  std::memcpy(place, bytes.data(), bytes.size());
  Address address = Address::FromKernel(storage);
  address.set_port(static_cast<uint16_t>(ReadNumber(port)));
  return address;
}

// False if a record does not fit, or the checksum is wrong.
bool ReadRecords(std::string_view header, size_t at, std::string& unique_id) {
  while (at < header.size()) {
    if (header.size() - at < kRecordHeadBytes) return false;
    const auto type = static_cast<uint8_t>(header[at]);
    const size_t size = ReadNumber(header.substr(at + 1, 2));
    at += kRecordHeadBytes;
    if (header.size() - at < size) return false;
    const std::string_view value = header.substr(at, size);
    if (type == kUniqueIdRecord) {
      if (size > kMaxUniqueIdBytes) return false;
      unique_id = value;
    } else if (type == kCrc32cRecord) {
      if (size != kCrc32cBytes || ReadNumber(value) != Crc32cOf(header, at)) return false;
    }
    at += size;
  }
  return true;
}

ProxyReading ReadVersion2(std::string_view text, Protocol protocol) {
  if (text.size() < kFixedBytes2) return {ProxyVerdict::kIncomplete, 0, {}};
  const auto upper = [&](size_t at) { return static_cast<uint8_t>(text[at]) >> 4; };
  const auto lower = [&](size_t at) { return static_cast<uint8_t>(text[at]) & 0xf; };
  const int command = lower(12);
  const size_t size = kFixedBytes2 + ReadNumber(text.substr(14, 2));
  if (upper(12) != kVersion2 || command > kProxy || size > kMaxProxyHeaderBytes) return {};
  if (text.size() < size) return {ProxyVerdict::kIncomplete, 0, {}};
  // Whatever else a load balancer says about itself, for example in a health check, is ignored.
  if (command == kLocal) return Whole(size, {});
  const std::string_view header = text.substr(0, size);
  const int family = upper(13);
  const int transport = lower(13);
  if (family > kUnix || transport > kDatagram) return {};
  if (size - kFixedBytes2 < kEndsBytes2[family]) return {};
  if (family == kUnspecified || family == kUnix || transport == kAnyTransport)
    return Whole(size, {});
  if (transport != (protocol == Protocol::kTcp ? kStream : kDatagram)) return {};
  const bool v6 = family == kInet6;
  const size_t width = v6 ? sizeof(in6_addr) : sizeof(in_addr);
  const std::string_view ends = header.substr(kFixedBytes2, kEndsBytes2[family]);
  ProxyHeader read;
  read.ends = {ReadAddress2(ends.substr(0, width), ends.substr(2 * width, 2), v6),
               ReadAddress2(ends.substr(width, width), ends.substr(2 * width + 2, 2), v6)};
  if (!ReadRecords(header, kFixedBytes2 + ends.size(), read.unique_id)) return {};
  return Whole(size, std::move(read));
}

void AppendAddress2(std::string& bytes, const Address& address) {
  if (address.is_v6()) {
    bytes.append(reinterpret_cast<const char*>(&address.v6()), sizeof(in6_addr));
  } else {
    bytes.append(reinterpret_cast<const char*>(&address.v4()), sizeof(in_addr));
  }
}

std::string WriteVersion2(Protocol protocol, const std::optional<ProxyEnds>& ends,
                          std::string_view unique_id) {
  const int family = !ends ? kUnspecified : (ends->client.is_v6() ? kInet6 : kInet);
  const int transport = !ends ? kAnyTransport : (protocol == Protocol::kTcp ? kStream : kDatagram);
  unique_id = unique_id.substr(0, kMaxUniqueIdBytes);
  const size_t id_bytes = unique_id.empty() ? 0 : kRecordHeadBytes + unique_id.size();
  std::string bytes(kSignature2);
  bytes.reserve(kFixedBytes2 + kEndsBytes2[family] + id_bytes);
  bytes += static_cast<char>(kVersion2 << 4 | kProxy);
  bytes += static_cast<char>(family << 4 | transport);
  AppendUint16(bytes, kEndsBytes2[family] + id_bytes);
  if (ends) {
    AppendAddress2(bytes, ends->client);
    AppendAddress2(bytes, ends->destination);
    AppendUint16(bytes, ends->client.port());
    AppendUint16(bytes, ends->destination.port());
  }
  if (id_bytes == 0) return bytes;
  bytes += static_cast<char>(kUniqueIdRecord);
  AppendUint16(bytes, unique_id.size());
  return bytes.append(unique_id);
}

}  // namespace

ProxyReading ReadProxyHeader(std::span<const char> bytes, Protocol protocol) {
  const std::string_view text(bytes.data(), bytes.size());
  if (BeginsLike(text, kSignature2)) return ReadVersion2(text, protocol);
  if (protocol == Protocol::kTcp && BeginsLike(text, kSignature1)) return ReadVersion1(text);
  return {};
}

std::string WriteProxyHeader(ProxyVersion version, Protocol protocol, const ProxyHeader& header) {
  std::optional<ProxyEnds> ends;
  if (header.ends) ends = {header.ends->client.Unmapped(), header.ends->destination.Unmapped()};
  // A header has room for one family.
  if (ends && ends->client.is_v6() != ends->destination.is_v6())
    ends = {ends->client.MappedToV6(), ends->destination.MappedToV6()};
  if (version == ProxyVersion::k2) return WriteVersion2(protocol, ends, header.unique_id);
  return ends ? WriteVersion1(*ends) : std::string(kUnknown1) + "\r\n";
}

}  // namespace spliceport
