// address.h: an IPv4 or IPv6 endpoint as a value: parse, print, compare, and the bytes for the
//            kernel. Dual-stack sockets use IPv4-mapped IPv6 addresses (::ffff:a.b.c.d); Unmapped()
//            undoes that.
// Thread: any; a value.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/secret_hash.h"

namespace spliceport {

class Address {
 public:
  // 0.0.0.0, port 0.
  Address() noexcept;
  // `text` is numeric; IPv6 without brackets, with or without %scope. Empty if it is not an
  // address.
  static std::optional<Address> Parse(const std::string& text, uint16_t port);
  // `bytes` as accept(2) or recvmsg(2) filled them in; AF_INET or AF_INET6.
  static Address FromKernel(const sockaddr_storage& bytes);

  bool is_v6() const noexcept { return any_.sa_family == AF_INET6; }
  bool is_unspecified() const noexcept;
  // Whether a peer with this address can be answered: neither the address nor the port is zero.
  bool IsAnswerable() const noexcept;
  uint16_t port() const noexcept;
  void set_port(uint16_t port) noexcept;
  Address WithoutPort() const noexcept;
  std::string Text() const;  // Without the port.

  const sockaddr* bytes() const noexcept { return &any_; }
  socklen_t size() const noexcept { return is_v6() ? sizeof(v6_) : sizeof(v4_); }

  Address Unmapped() const;
  Address MappedToV6() const;

  bool operator==(const Address& other) const noexcept;
  size_t Hash() const noexcept;
  void AddTo(SecretHash& hash) const noexcept;

  const in_addr& v4() const noexcept { return v4_.sin_addr; }
  const in6_addr& v6() const noexcept { return v6_.sin6_addr; }

 private:
  union {
    sockaddr any_;
    sockaddr_in v4_;
    sockaddr_in6 v6_;
  };
};

}  // namespace spliceport
