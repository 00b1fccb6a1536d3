#include "net/cidr.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>

namespace spliceport {

namespace {

bool Holds(const std::string& block, const std::string& address) {
  const auto cidr = Cidr::Parse(block);
  REQUIRE(cidr.has_value());
  return cidr->Contains(*Address::Parse(address, 1));
}

}  // namespace

TEST_CASE("cidr: a block holds the addresses of its prefix and no others") {
  CHECK(Holds("10.0.0.0/8", "10.255.255.255"));
  CHECK_FALSE(Holds("10.0.0.0/8", "11.0.0.0"));
  CHECK(Holds("192.168.4.0/22", "192.168.7.255"));
  CHECK_FALSE(Holds("192.168.4.0/22", "192.168.8.0"));
  CHECK(Holds("10.1.2.3/8", "10.9.9.9"));
  CHECK(Holds("10.1.2.3", "10.1.2.3"));
  CHECK_FALSE(Holds("10.1.2.3", "10.1.2.2"));
  CHECK(Holds("0.0.0.0/0", "8.8.8.8"));
  CHECK(Holds("fd00:1::/33", "fd00:1:7fff::1"));
  CHECK_FALSE(Holds("fd00:1::/33", "fd00:1:8000::1"));
  CHECK(Holds("::1", "::1"));
}

TEST_CASE("cidr: families are apart, but a mapped address is IPv4") {
  CHECK(Holds("10.0.0.0/8", "::ffff:10.2.3.4"));
  CHECK_FALSE(Holds("::/0", "10.2.3.4"));
  CHECK_FALSE(Holds("::/0", "::ffff:10.2.3.4"));
  CHECK_FALSE(Holds("0.0.0.0/0", "::1"));
}

TEST_CASE("cidr: what is no block is refused") {
  for (const char* text : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x",
                           "10.0.0/8", "::/129", "lan", "10.0.0.0/8/8", "10.0.0.0/ 8"})
    CHECK_MESSAGE(!Cidr::Parse(text).has_value(), text);
}

TEST_CASE("cidr: a list holds what one of its blocks holds") {
  const CidrList list({*Cidr::Parse("127.0.0.1"), *Cidr::Parse("fd00::/8")});
  CHECK(list.Contains(*Address::Parse("fd12::1", 0)));
  CHECK(list.Contains(*Address::Parse("127.0.0.1", 9)));
  CHECK(list.Contains(*Address::Parse("::ffff:127.0.0.1", 9)));
  CHECK_FALSE(list.Contains(*Address::Parse("127.0.0.2", 9)));
  CHECK_FALSE(CidrList().Contains(*Address::Parse("127.0.0.1", 9)));
}

TEST_CASE("cidr: a long list says of every address what its blocks say, one after the other") {
  std::mt19937 random(7);
  // Few different bytes, so that blocks lie within each other, next to each other and apart.
  const auto byte = [&] { return std::to_string(random() % 6 * 51); };
  const auto v4 = [&] { return byte() + "." + byte() + "." + byte() + "." + byte(); };
  const auto v6 = [&] { return byte() + ":" + byte() + "::" + byte(); };
  const auto address = [&] { return random() % 2 == 0 ? v4() : v6(); };
  for (const int size : {1, 3, 30, 300}) {
    std::vector<Cidr> blocks;
    for (int i = 0; i < size; ++i) {
      const std::string network = address();
      const uint32_t most = network.find(':') == std::string::npos ? 32 : 128;
      blocks.push_back(*Cidr::Parse(network + "/" + std::to_string(most - random() % (most + 1))));
    }
    // Short prefixes hold nearly everything.
    std::erase_if(blocks, [](const Cidr& block) { return block.prefix_bits() < 9; });
    const CidrList list(blocks);
    for (int i = 0; i < 2'000; ++i) {
      const Address one = *Address::Parse(address(), 1);
      const bool held =
          std::ranges::any_of(blocks, [&](const Cidr& block) { return block.Contains(one); });
      REQUIRE(list.Contains(one) == held);
    }
  }
}

}  // namespace spliceport
