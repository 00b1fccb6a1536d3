#include "shim/wire.h"

namespace spliceport::shim {

void Writer::Bytes(std::span<const char> bytes) {
  U32(static_cast<uint32_t>(bytes.size()));
  bytes_.append(bytes.data(), bytes.size());
}

void Writer::Endpoint(const Address& address) {
  Text(address.Text());
  U16(address.port());
}

void Reader::Fail() {
  ok_ = false;
  left_ = {};
}

std::span<const char> Reader::Take(size_t size) {
  if (size > left_.size()) Fail();
  if (!ok_) return {};
  const auto taken = left_.first(size);
  left_ = left_.subspan(size);
  return taken;
}

uint64_t Reader::Get(size_t size) {
  uint64_t value = 0;
  int shift = 0;
  for (const char byte : Take(size)) {
    value |= uint64_t{static_cast<uint8_t>(byte)} << shift;
    shift += 8;
  }
  return value;
}

std::span<const char> Reader::Bytes() { return Take(U32()); }

std::string Reader::Text() {
  const auto bytes = Bytes();
  return {bytes.begin(), bytes.end()};
}

Address Reader::Endpoint() {
  const std::string text = Text();
  const uint16_t port = U16();
  const auto address = ok_ ? Address::Parse(text, port) : std::nullopt;
  if (!address) Fail();
  return address.value_or(Address());
}

}  // namespace spliceport::shim
