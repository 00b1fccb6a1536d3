#include "cidr.h"

#include <charconv>
#include <cstring>

namespace spliceport {

namespace {

constexpr int kV4Bits = 32;
constexpr int kV6Bits = 128;
constexpr int kByteBits = 8;

const uint8_t* BytesOf(const Address& address) {
  if (address.is_v6()) return address.v6().s6_addr;
  return reinterpret_cast<const uint8_t*>(&address.v4());
}

}  // namespace

std::optional<Cidr> Cidr::Parse(const std::string& text) {
  const size_t slash = text.find('/');
  const auto network = Address::Parse(text.substr(0, slash), 0);
  if (!network) return {};
  const int most = network->is_v6() ? kV6Bits : kV4Bits;
  if (slash == std::string::npos) return Cidr(*network, most);
  int bits = -1;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data() + slash + 1, last, bits);
  if (error != std::errc() || end != last || bits < 0 || bits > most) return {};
  return Cidr(*network, bits);
}

bool Cidr::Contains(const Address& address) const {
  const Address plain = address.Unmapped();
  if (plain.is_v6() != network_.is_v6()) return false;
  const uint8_t* const own = BytesOf(network_);
  const uint8_t* const other = BytesOf(plain);
  const auto whole = static_cast<size_t>(prefix_bits_ / kByteBits);
  if (std::memcmp(own, other, whole) != 0) return false;
  const int rest = prefix_bits_ % kByteBits;
  return rest == 0 || ((own[whole] ^ other[whole]) >> (kByteBits - rest)) == 0;
}

}  // namespace spliceport
