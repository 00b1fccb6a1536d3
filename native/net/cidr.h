// cidr.h: blocks of IP addresses, such as 10.0.0.0/8, as values.
//         An IPv4-mapped IPv6 address counts as the IPv4 address that it stands for.
// Thread: any; values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "net/address.h"

namespace spliceport {

class Cidr {
 public:
  // An address without a prefix is a block of one. Bits after the prefix are ignored. Empty if
  // `text` is not a block.
  static std::optional<Cidr> Parse(const std::string& text);
  bool Contains(const Address& address) const;

  const Address& network() const { return network_; }
  int prefix_bits() const { return prefix_bits_; }

 private:
  Cidr(const Address& network, int prefix_bits) : network_(network), prefix_bits_(prefix_bits) {}

  Address network_;
  int prefix_bits_;
};

// Many blocks, as sorted ranges of addresses that do not touch each other, so that a lookup takes
// time in the logarithm of their number.
class CidrList {
 public:
  CidrList() = default;
  explicit CidrList(const std::vector<Cidr>& blocks);
  bool Contains(const Address& address) const;
  bool empty() const { return v4_.empty() && v6_.empty(); }

 private:
  // In the order of the network; IPv4 fills the first four.
  using Bytes = std::array<uint8_t, 16>;
  struct Range {
    Bytes first;
    Bytes last;
  };
  static Bytes BytesOf(const Address& address, uint8_t rest);
  static void Sort(std::vector<Range>& ranges);

  std::vector<Range> v4_;
  std::vector<Range> v6_;
};

}  // namespace spliceport
