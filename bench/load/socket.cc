#include "socket.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>

namespace spliceport::bench {
namespace {

constexpr int kBacklog = 4096;
constexpr int kDatagramBufferBytes = 4 << 20;

UniqueFd Open(const Address& address, int type) {
  return UniqueFd(Must(socket(address.family(), type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket"));
}

}  // namespace

Address ParseAddress(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) Die(text.c_str(), EINVAL);
  const uint16_t port =
      htons(static_cast<uint16_t>(strtoul(text.c_str() + colon + 1, nullptr, 10)));
  Address address;
  if (text[0] == '[') {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = port;
    address.length = sizeof(*v6);
    if (inet_pton(AF_INET6, text.substr(1, colon - 2).c_str(), &v6->sin6_addr) == 1) return address;
  } else {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
    v4->sin_family = AF_INET;
    v4->sin_port = port;
    address.length = sizeof(*v4);
    if (inet_pton(AF_INET, text.substr(0, colon).c_str(), &v4->sin_addr) == 1) return address;
  }
  Die(text.c_str(), EINVAL);
}

void SetOption(int fd, int level, int name, int value, const char* what) {
  Must(setsockopt(fd, level, name, &value, sizeof(value)), what);
}

void GrowBuffers(int fd) {
  SetOption(fd, SOL_SOCKET, SO_RCVBUF, kDatagramBufferBytes, "SO_RCVBUF");
  SetOption(fd, SOL_SOCKET, SO_SNDBUF, kDatagramBufferBytes, "SO_SNDBUF");
}

UniqueFd ListenTcp(const Address& address) {
  UniqueFd fd = Open(address, SOCK_STREAM);
  SetOption(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
  SetOption(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
  Must(bind(fd.get(), address.get(), address.length), "bind");
  Must(listen(fd.get(), kBacklog), "listen");
  return fd;
}

UniqueFd BindUdp(const Address& address) {
  UniqueFd fd = Open(address, SOCK_DGRAM);
  Must(bind(fd.get(), address.get(), address.length), "bind");
  GrowBuffers(fd.get());
  return fd;
}

Address PortAfter(const Address& first, uint32_t count) {
  Address address = first;
  // Both families have it at the same place.
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  v4->sin_port = htons(static_cast<uint16_t>(ntohs(v4->sin_port) + count));
  return address;
}

Address AddressAfter(const Address& first, uint32_t count) {
  Address address = first;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (v4->sin_family != AF_INET) Die("--from", EAFNOSUPPORT);
  v4->sin_addr.s_addr = htonl(ntohl(v4->sin_addr.s_addr) + count);
  return address;
}

UniqueFd StartConnectTcp(const Address& address, const Address* source) {
  UniqueFd fd = Open(address, SOCK_STREAM);
  SetOption(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY");
  if (source != nullptr) {
    // Its port is found by connect(2), for whom those of other addresses do not count.
    SetOption(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1, "IP_BIND_ADDRESS_NO_PORT");
    Must(bind(fd.get(), source->get(), source->length), "bind");
  }
  if (connect(fd.get(), address.get(), address.length) < 0 && errno != EINPROGRESS) fd.Reset();
  return fd;
}

UniqueFd ConnectTcp(const Address& address) {
  UniqueFd fd = StartConnectTcp(address);
  if (!fd) Die("connect");
  pollfd wait = {fd.get(), POLLOUT, 0};
  Must(poll(&wait, 1, -1), "poll");
  int error = 0;
  socklen_t length = sizeof(error);
  Must(getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length), "SO_ERROR");
  if (error != 0) Die("connect", error);
  return fd;
}

UniqueFd ConnectUdp(const Address& address) {
  UniqueFd fd = Open(address, SOCK_DGRAM);
  Must(connect(fd.get(), address.get(), address.length), "connect");
  return fd;
}

void RaiseFileLimit() {
  rlimit limit;
  Must(getrlimit(RLIMIT_NOFILE, &limit), "getrlimit");
  limit.rlim_cur = limit.rlim_max;
  Must(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
}

}  // namespace spliceport::bench
