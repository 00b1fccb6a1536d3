#include "net/address.h"

#include <arpa/inet.h>

#include <cstring>
#include <set>

#include <doctest/doctest.h>

namespace spliceport {

namespace {

Address Parsed(const std::string& text, uint16_t port = 0) {
  const auto address = Address::Parse(text, port);
  REQUIRE_MESSAGE(address.has_value(), text);
  return *address;
}

}  // namespace

TEST_CASE("an address is 0.0.0.0, port 0, when it is nothing else") {
  const Address address;
  CHECK_FALSE(address.is_v6());
  CHECK(address.is_unspecified());
  CHECK(address.port() == 0);
  CHECK(address.Text() == "0.0.0.0");
}

TEST_CASE("an address prints as its shortest form") {
  CHECK(Parsed("192.0.2.1").Text() == "192.0.2.1");
  CHECK(Parsed("::").Text() == "::");
  CHECK(Parsed("2001:db8:0:0:0:0:0:1").Text() == "2001:db8::1");
  CHECK(Parsed("::ffff:192.0.2.1").Text() == "::ffff:192.0.2.1");
}

TEST_CASE("what is no numeric address is refused") {
  for (const char* text :
       {"", "1.2.3", "1.2.3.4.5", "01.2.3.4", "256.1.1.1", " 1.2.3.4", "[::1]", "::g", "localhost",
        "1.2.3.4%lo", "fe80::1%no-such-link", "fe80::1%", "::1%0"}) {
    CHECK_MESSAGE(!Address::Parse(text, 1).has_value(), text);
  }
}

TEST_CASE("a scope is a link's number or its name") {
  CHECK(Parsed("fe80::1%1").Text() == "fe80::1%1");
  CHECK(Parsed("fe80::1%lo") == Parsed("fe80::1%1"));
  CHECK_FALSE(Parsed("fe80::1%1") == Parsed("fe80::1%2"));
}

TEST_CASE("an address hands the kernel the bytes of its family") {
  const Address v4 = Parsed("192.0.2.1", 258);
  REQUIRE(v4.size() == sizeof(sockaddr_in));
  sockaddr_in plain{};
  std::memcpy(&plain, v4.bytes(), sizeof(plain));
  CHECK(plain.sin_family == AF_INET);
  CHECK(plain.sin_port == htons(258));

  const Address v6 = Parsed("::1", 258);
  REQUIRE(v6.size() == sizeof(sockaddr_in6));
  sockaddr_storage bytes{};
  std::memcpy(&bytes, v6.bytes(), v6.size());
  CHECK(Address::FromKernel(bytes) == v6);
}

TEST_CASE("IPv4 goes to its IPv6 form and back with its port") {
  const Address v4 = Parsed("192.0.2.1", 80);
  const Address mapped = v4.MappedToV6();
  CHECK(mapped.is_v6());
  CHECK(mapped.Text() == "::ffff:192.0.2.1");
  CHECK(mapped.port() == 80);
  CHECK(mapped.Unmapped() == v4);
  CHECK(v4.Unmapped() == v4);
  CHECK(mapped.MappedToV6() == mapped);
  CHECK(Parsed("2001:db8::1").Unmapped() == Parsed("2001:db8::1"));
}

TEST_CASE("addresses are equal when family, address and port are") {
  CHECK(Parsed("127.0.0.1", 1) == Parsed("127.0.0.1", 1));
  CHECK_FALSE(Parsed("127.0.0.1", 1) == Parsed("127.0.0.1", 2));
  CHECK_FALSE(Parsed("127.0.0.1", 1) == Parsed("127.0.0.2", 1));
  CHECK_FALSE(Parsed("::1", 1) == Parsed("::2", 1));
  CHECK_FALSE(Parsed("127.0.0.1", 1) == Parsed("::ffff:127.0.0.1", 1));
}

TEST_CASE("equal addresses hash alike, and neighbors do not") {
  CHECK(Parsed("::1", 1).Hash() == Parsed("0:0::1", 1).Hash());
  std::set<size_t> hashes;
  for (uint16_t port = 1; port <= 1'000; ++port) {
    hashes.insert(Parsed("127.0.0.1", port).Hash());
    hashes.insert(Parsed("::1", port).Hash());
  }
  CHECK(hashes.size() == 2'000);
}

}  // namespace spliceport
