// cidr.h: blocks of IP addresses, such as 10.0.0.0/8, as values.
// An IPv4-mapped IPv6 address counts as the IPv4 address that it stands for.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "address.h"

namespace spliceport {

class Cidr {
 public:
  // An address alone stands for itself; bits behind the prefix are of no account. Nothing when it is not a block.
  static std::optional<Cidr> Parse(const std::string& text);
  bool Contains(const Address& address) const;

 private:
  Cidr(const Address& network, int prefix_bits) : network_(network), prefix_bits_(prefix_bits) {}

  Address network_;
  int prefix_bits_;
};

using CidrList = std::vector<Cidr>;

inline bool Contains(const CidrList& list, const Address& address) {
  return std::any_of(list.begin(), list.end(),
                     [&](const Cidr& cidr) { return cidr.Contains(address); });
}

}  // namespace spliceport
