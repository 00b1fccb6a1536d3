#include "net/address.h"

#include <arpa/inet.h>
#include <net/if.h>

#include <charconv>
#include <cstring>

namespace spliceport {

// The largest member of the union covers the others.
// NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init)
Address::Address() noexcept : v6_{} { v4_.sin_family = AF_INET; }

std::optional<Address> Address::Parse(const std::string& text, uint16_t port) {
  Address address;
  if (inet_pton(AF_INET, text.c_str(), &address.v4_.sin_addr) == 1) {
    address.v4_.sin_port = htons(port);
    return address;
  }
  const size_t percent = text.find('%');
  address.v6_ = {};
  address.v6_.sin6_family = AF_INET6;
  address.v6_.sin6_port = htons(port);
  if (inet_pton(AF_INET6, text.substr(0, percent).c_str(), &address.v6_.sin6_addr) != 1) return {};
  if (percent == std::string::npos) return address;
  const std::string scope = text.substr(percent + 1);
  uint32_t index = 0;
  const auto [end, error] = std::from_chars(scope.data(), scope.data() + scope.size(), index);
  const bool is_number = error == std::errc() && end == scope.data() + scope.size();
  if (!is_number) index = if_nametoindex(scope.c_str());
  if (index == 0) return {};
  address.v6_.sin6_scope_id = index;
  return address;
}

Address Address::FromKernel(const sockaddr_storage& bytes) {
  Address address;
  std::memcpy(&address.v6_, &bytes, bytes.ss_family == AF_INET6 ? sizeof(v6_) : sizeof(v4_));
  return address;
}

bool Address::is_unspecified() const noexcept {
  return is_v6() ? IN6_IS_ADDR_UNSPECIFIED(&v6_.sin6_addr) : v4_.sin_addr.s_addr == INADDR_ANY;
}

bool Address::IsAnswerable() const noexcept { return !Unmapped().is_unspecified() && port() != 0; }

uint16_t Address::port() const noexcept { return ntohs(is_v6() ? v6_.sin6_port : v4_.sin_port); }

void Address::set_port(uint16_t port) noexcept {
  (is_v6() ? v6_.sin6_port : v4_.sin_port) = htons(port);
}

Address Address::WithoutPort() const noexcept {
  Address address = *this;
  address.set_port(0);
  return address;
}

std::string Address::Text() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (!is_v6()) return inet_ntop(AF_INET, &v4_.sin_addr, text, sizeof(text));
  inet_ntop(AF_INET6, &v6_.sin6_addr, text, sizeof(text));
  if (v6_.sin6_scope_id == 0) return text;
  return std::string(text) + "%" + std::to_string(v6_.sin6_scope_id);
}

Address Address::Unmapped() const {
  if (!is_v6() || !IN6_IS_ADDR_V4MAPPED(&v6_.sin6_addr)) return *this;
  Address plain;
  std::memcpy(&plain.v4_.sin_addr, &v6_.sin6_addr.s6_addr[12], sizeof(in_addr));
  plain.v4_.sin_port = v6_.sin6_port;
  return plain;
}

Address Address::MappedToV6() const {
  if (is_v6()) return *this;
  Address mapped;
  mapped.v6_ = {};
  mapped.v6_.sin6_family = AF_INET6;
  mapped.v6_.sin6_port = v4_.sin_port;
  mapped.v6_.sin6_addr.s6_addr[10] = 0xff;
  mapped.v6_.sin6_addr.s6_addr[11] = 0xff;
  std::memcpy(&mapped.v6_.sin6_addr.s6_addr[12], &v4_.sin_addr, sizeof(in_addr));
  return mapped;
}

bool Address::operator==(const Address& other) const noexcept {
  if (any_.sa_family != other.any_.sa_family) return false;
  if (!is_v6()) {
    return v4_.sin_addr.s_addr == other.v4_.sin_addr.s_addr && v4_.sin_port == other.v4_.sin_port;
  }
  return v6_.sin6_port == other.v6_.sin6_port && v6_.sin6_scope_id == other.v6_.sin6_scope_id &&
         IN6_ARE_ADDR_EQUAL(&v6_.sin6_addr, &other.v6_.sin6_addr);
}

size_t Address::Hash() const noexcept {
  SecretHash hash;
  AddTo(hash);
  return hash.Finish();
}

void Address::AddTo(SecretHash& hash) const noexcept {
  if (!is_v6()) return hash.Add((uint64_t{v4_.sin_addr.s_addr} << 16) | v4_.sin_port);
  uint64_t halves[2];
  std::memcpy(halves, &v6_.sin6_addr, sizeof(halves));
  hash.Add(halves[0]);
  hash.Add(halves[1]);
  hash.Add(v6_.sin6_port);
}

}  // namespace spliceport
