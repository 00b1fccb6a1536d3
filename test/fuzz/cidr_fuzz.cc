// What a settings file may have as blocks of addresses: each line of the input is one. So that not
// all of them are found by luck, each 18 bytes are one as well.

#include "expect.h"
#include "net/cidr.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace spliceport {

namespace {

constexpr size_t kMaxBlocks = 64;
constexpr size_t kBytesOfOne = 18;

std::array<uint8_t, 16> BytesOf(const Address& address) {
  std::array<uint8_t, 16> bytes{};
  const auto* own =
      address.is_v6() ? address.v6().s6_addr : reinterpret_cast<const uint8_t*>(&address.v4());
  std::copy_n(own, address.is_v6() ? 16 : 4, bytes.begin());
  return bytes;
}

Address AddressOf(bool v6, const std::array<uint8_t, 16>& bytes) {
  char text[INET6_ADDRSTRLEN] = "";
  Expect(inet_ntop(v6 ? AF_INET6 : AF_INET, bytes.data(), text, sizeof(text)) != nullptr);
  const auto address = Address::Parse(text, 0);
  Expect(address.has_value());
  return *address;
}

// Bit by bit, as a block is defined.
bool IsIn(const Cidr& block, const Address& address) {
  const Address plain = address.Unmapped();
  if (plain.is_v6() != block.network().is_v6()) return false;
  const auto own = BytesOf(block.network());
  const auto other = BytesOf(plain);
  for (int bit = 0; bit < block.prefix_bits(); ++bit) {
    const auto at = static_cast<size_t>(bit / 8);
    if ((((own[at] ^ other[at]) >> (7 - bit % 8)) & 1) != 0) return false;
  }
  return true;
}

// Addresses at which a mistake of one bit shows: its own, and those that differ from it in the bits
// around the prefix.
std::vector<Address> Around(const Cidr& block) {
  const bool v6 = block.network().is_v6();
  std::vector<Address> addresses{block.network(), block.network().MappedToV6()};
  for (const int bit : {0, block.prefix_bits() - 1, block.prefix_bits(), v6 ? 127 : 31}) {
    if (bit < 0 || bit >= (v6 ? 128 : 32)) continue;
    auto bytes = BytesOf(block.network());
    bytes[static_cast<size_t>(bit / 8)] ^= static_cast<uint8_t>(0x80 >> (bit % 8));
    addresses.push_back(AddressOf(v6, bytes));
  }
  return addresses;
}

void ExpectSame(const Cidr& block) {
  const std::string printed = block.network().Text() + "/" + std::to_string(block.prefix_bits());
  const auto again = Cidr::Parse(printed);
  Expect(again.has_value());
  Expect(again->network() == block.network() && again->prefix_bits() == block.prefix_bits());
}

// Of a family, a prefix and an address.
Cidr MadeOf(std::string_view bytes) {
  const bool v6 = (bytes[0] & 1) != 0;
  const int bits = static_cast<uint8_t>(bytes[1]) % (v6 ? 129 : 33);
  std::array<uint8_t, 16> address{};
  std::copy_n(bytes.begin() + 2, address.size(), address.begin());
  const auto block = Cidr::Parse(AddressOf(v6, address).Text() + "/" + std::to_string(bits));
  Expect(block.has_value());
  return *block;
}

std::vector<Cidr> BlocksOf(std::string_view text) {
  std::vector<Cidr> blocks;
  for (size_t at = 0; at + kBytesOfOne <= text.size() && blocks.size() < kMaxBlocks / 2;
       at += kBytesOfOne)
    blocks.push_back(MadeOf(text.substr(at, kBytesOfOne)));
  while (!text.empty() && blocks.size() < kMaxBlocks) {
    const size_t end = std::min(text.find('\n'), text.size());
    const auto block = Cidr::Parse(std::string(text.substr(0, end)));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (block) blocks.push_back(*block);
  }
  return blocks;
}

void Try(std::string_view text) {
  const std::vector<Cidr> blocks = BlocksOf(text);
  std::vector<Address> addresses;
  for (const Cidr& block : blocks) {
    ExpectSame(block);
    for (const Address& address : Around(block))
      addresses.push_back(address);
  }
  const CidrList list(blocks);
  Expect(list.empty() == blocks.empty());
  for (const Address& address : addresses) {
    bool is_in = false;
    for (const Cidr& block : blocks) {
      Expect(block.Contains(address) == IsIn(block, address));
      is_in = is_in || IsIn(block, address);
    }
    Expect(list.Contains(address) == is_in);
  }
}

}  // namespace

}  // namespace spliceport

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  spliceport::Try({reinterpret_cast<const char*>(data), size});
  return 0;
}
