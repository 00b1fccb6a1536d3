#include "net/cidr.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <functional>
#include <iterator>
#include <utility>

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
  const int max_bits = network->is_v6() ? kV6Bits : kV4Bits;
  if (slash == std::string::npos) return Cidr(*network, max_bits);
  int bits = -1;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data() + slash + 1, last, bits);
  if (error != std::errc() || end != last || bits < 0 || bits > max_bits) return {};
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

CidrList::CidrList(const std::vector<Cidr>& blocks) {
  for (const Cidr& block : blocks) {
    const Address& network = block.network();
    Range range{BytesOf(network, 0), BytesOf(network, UINT8_MAX)};
    const int max_bits = network.is_v6() ? kV6Bits : kV4Bits;
    for (int bit = block.prefix_bits(); bit < max_bits; ++bit) {
      const auto mask = static_cast<uint8_t>(0x80 >> (bit % kByteBits));
      range.first[static_cast<size_t>(bit / kByteBits)] &= static_cast<uint8_t>(~mask);
      range.last[static_cast<size_t>(bit / kByteBits)] |= mask;
    }
    (network.is_v6() ? v6_ : v4_).push_back(range);
  }
  Sort(v4_);
  Sort(v6_);
}

bool CidrList::Contains(const Address& address) const {
  const Address plain = address.Unmapped();
  const std::vector<Range>& ranges = plain.is_v6() ? v6_ : v4_;
  const Bytes bytes = BytesOf(plain, 0);
  const auto next = std::ranges::upper_bound(ranges, bytes, std::less<>(),
                                             [](const Range& r) { return r.first; });
  return next != ranges.begin() && bytes <= std::prev(next)->last;
}

CidrList::Bytes CidrList::BytesOf(const Address& address, uint8_t rest) {
  Bytes bytes;
  bytes.fill(address.is_v6() ? 0 : rest);
  std::memcpy(bytes.data(), spliceport::BytesOf(address),
              (address.is_v6() ? kV6Bits : kV4Bits) / 8);
  return bytes;
}

// Joins what overlaps, so that the range that begins last before an address is the only one that
// may hold it.
void CidrList::Sort(std::vector<Range>& ranges) {
  std::ranges::sort(ranges, std::less<>(), [](const Range& range) { return range.first; });
  std::vector<Range> joined;
  for (const Range& range : ranges) {
    if (!joined.empty() && range.first <= joined.back().last) {
      joined.back().last = std::max(joined.back().last, range.last);
    } else {
      joined.push_back(range);
    }
  }
  ranges = std::move(joined);
}

}  // namespace spliceport
