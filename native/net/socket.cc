#include "net/socket.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <cstddef>
#include <tuple>

#include "base/linux_compat.h"

namespace spliceport {

namespace {

// net.core.somaxconn caps it.
constexpr int kBacklog = 4'096;
// Room for a burst of datagrams while a worker is busy. Without CAP_NET_ADMIN, net.core.[rw]mem_max
// caps it.
constexpr int kDatagramBufferBytes = 4 << 20;
// Linux lets ip_local_port_range begin below only if ip_unprivileged_port_start does.
constexpr uint16_t kLeastEphemeralPort = 1'024;

// For options that affect speed or convenience, never correctness.
void TryOption(int fd, int level, int name, int value) {
  (void)setsockopt(fd, level, name, &value, sizeof(value));
}

void EnlargeDatagramBuffers(int fd) {
  TryOption(fd, SOL_SOCKET, SO_RCVBUF, kDatagramBufferBytes);
  TryOption(fd, SOL_SOCKET, SO_SNDBUF, kDatagramBufferBytes);
  TryOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, kDatagramBufferBytes);
  TryOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, kDatagramBufferBytes);
}

Result<void> PrepareHostSocket(int fd, Protocol protocol, bool v6) {
  if (protocol == Protocol::kTcp) {
    SetNoDelay(fd);
    return SetOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  }
  SetReceiveOffload(fd, true);
  TryOption(fd, SOL_SOCKET, SO_RXQ_OVFL, 1);
  EnlargeDatagramBuffers(fd);
  // Without packet info replies could leave from another address than the client sent to.
  if (v6) return SetOption(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
  return SetOption(fd, IPPROTO_IP, IP_PKTINFO, 1);
}

template <typename Call>
Io Move(Call call) {
  for (;;) {
    const ssize_t count = call();
    if (count >= 0) return {static_cast<size_t>(count), 0};
    if (errno != EINTR) return {0, errno};
  }
}

}  // namespace

bool Io::would_block() const { return error == EAGAIN || error == EWOULDBLOCK; }

bool IsOutOfDescriptors(int error) { return error == EMFILE || error == ENFILE; }

bool IsExhaustion(int error) {
  return IsOutOfDescriptors(error) || error == ENOBUFS || error == ENOMEM;
}

bool IsPeerError(int error) {
  switch (error) {
    case ECONNRESET:
    case ECONNREFUSED:
    case ECONNABORTED:
    case EPIPE:
    case ENOTCONN:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case EHOSTDOWN:
    case ENETUNREACH:
    case ENETDOWN:
    case ENETRESET:
    case ENOPROTOOPT:
    case EPROTO:
      return true;
    default:
      return false;
  }
}

Result<UniqueFd> OpenHostSocket(Protocol protocol, const Address& address, bool ipv6_only) {
  const bool v6 = address.is_v6();
  const int type = protocol == Protocol::kTcp ? SOCK_STREAM : SOCK_DGRAM;
  UniqueFd fd(socket(v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return LastError("socket");
  if (v6) {
    const auto set = SetOption(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, ipv6_only ? 1 : 0);
    if (!set.ok()) return set.error();
  }
  const auto prepared = PrepareHostSocket(fd.get(), protocol, v6);
  if (!prepared.ok()) return prepared.error();
  if (bind(fd.get(), address.bytes(), address.size()) != 0) return LastError("bind");
  if (protocol == Protocol::kTcp && listen(fd.get(), kBacklog) != 0) return LastError("listen");
  return fd;
}

Result<SocketFacts> DescribeSocket(int fd) {
  SocketFacts facts;
  int listening = 0;
  int ipv6_only = 0;
  const std::tuple<int, int, int*> options[] = {{SOL_SOCKET, SO_DOMAIN, &facts.family},
                                                {SOL_SOCKET, SO_TYPE, &facts.type},
                                                {SOL_SOCKET, SO_PROTOCOL, &facts.protocol},
                                                {SOL_SOCKET, SO_ACCEPTCONN, &listening}};
  for (const auto& [level, name, value] : options) {
    socklen_t size = sizeof(int);
    if (getsockopt(fd, level, name, value, &size) != 0) return LastError("getsockopt");
  }
  facts.is_listening = listening != 0;
  if (facts.family != AF_INET && facts.family != AF_INET6) return facts;
  socklen_t size = sizeof(ipv6_only);
  if (facts.family == AF_INET6 && getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &ipv6_only, &size) != 0)
    return LastError("getsockopt");
  facts.is_ipv6_only = ipv6_only != 0;
  sockaddr_storage peer{};
  socklen_t peer_size = sizeof(peer);
  facts.is_connected = getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size) == 0;
  auto local = LocalAddress(fd);
  if (!local.ok()) return local.error();
  facts.local = local.value();
  return facts;
}

Result<UniqueFd> AdoptHostSocket(Protocol protocol, int borrowed_fd, bool v6) {
  UniqueFd fd(fcntl(borrowed_fd, F_DUPFD_CLOEXEC, 0));
  if (!fd.valid()) return LastError("fcntl");
  const int flags = fcntl(fd.get(), F_GETFL);
  if (flags < 0 || fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) != 0) return LastError("fcntl");
  const auto prepared = PrepareHostSocket(fd.get(), protocol, v6);
  if (!prepared.ok()) return prepared.error();
  return fd;
}

Result<Address> LocalAddress(int fd) {
  sockaddr_storage bytes{};
  socklen_t size = sizeof(bytes);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&bytes), &size) != 0)
    return LastError("getsockname");
  return Address::FromKernel(bytes);
}

Address SourceOf(const UniqueFd& fd) {
  if (!fd.valid()) return {};
  auto address = LocalAddress(fd.get());
  return address.ok() ? address.value() : Address();
}

bool IsDualStack(int fd, const Address& local) {
  if (!local.is_v6() || !local.is_unspecified()) return false;
  int ipv6_only = 1;
  socklen_t size = sizeof(ipv6_only);
  return getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &ipv6_only, &size) == 0 && ipv6_only == 0;
}

Result<UniqueFd> OpenStreamSocket(bool v6) {
  UniqueFd fd(socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return LastError("socket");
  return fd;
}

Result<UniqueFd> OpenDatagramSocket(bool v6) {
  UniqueFd fd(socket(v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return LastError("socket");
  TryOption(fd.get(), IPPROTO_UDP, UDP_GRO, 1);
  TryOption(fd.get(), SOL_SOCKET, SO_RXQ_OVFL, 1);
  EnlargeDatagramBuffers(fd.get());
  return fd;
}

Result<UniqueFd> OpenConnectedDatagramSocket(const Address& target) {
  // A socket connected to itself stays open until the next one has another port.
  UniqueFd itself;
  for (int attempt = 0; attempt < 2; ++attempt) {
    auto opened = OpenDatagramSocket(target.is_v6());
    if (!opened.ok()) return opened;
    const auto connected = StartConnect(opened.value().get(), target);
    if (!connected.ok()) return connected.error();
    if (!IsConnectedToItself(opened.value().get(), target)) return opened;
    itself = std::move(opened.value());
  }
  return SysError{-EADDRINUSE, "connect"};
}

Result<void> StartConnect(int fd, const Address& target) {
  if (connect(fd, target.bytes(), target.size()) == 0) return {};
  if (errno == EINPROGRESS || errno == EINTR) return {};
  return LastError("connect");
}

bool IsConnectedToItself(int fd, const Address& target) {
  // The kernel never gives a lower port to a client that did not ask for it.
  if (target.port() < kLeastEphemeralPort) return false;
  auto local = LocalAddress(fd);
  if (!local.ok() || local.value().port() != target.port()) return false;
  // The target may be another form of the same address.
  sockaddr_storage bytes{};
  socklen_t size = sizeof(bytes);
  return getpeername(fd, reinterpret_cast<sockaddr*>(&bytes), &size) == 0 &&
         Address::FromKernel(bytes) == local.value();
}

int TakeError(int fd) {
  int error = 0;
  socklen_t size = sizeof(error);
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

Io Accept(int listener, UniqueFd& connection, Address& client) {
  sockaddr_storage bytes{};
  for (;;) {
    socklen_t size = sizeof(bytes);
    const int fd =
        accept4(listener, reinterpret_cast<sockaddr*>(&bytes), &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
      connection.Reset(fd);
      client = Address::FromKernel(bytes);
      return {1, 0};
    }
    if (errno != EINTR) return {0, errno};
  }
}

Io Receive(int fd, std::span<char> buffer) {
  return Move([&] { return recv(fd, buffer.data(), buffer.size(), 0); });
}

Io Peek(int fd, std::span<char> buffer) {
  return Move([&] { return recv(fd, buffer.data(), buffer.size(), MSG_PEEK); });
}

Io Send(int fd, std::span<const char> bytes) {
  return Move([&] { return send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL); });
}

void ShutdownWrite(int fd) { (void)shutdown(fd, SHUT_WR); }

void ResetOnClose(int fd) {
  const linger now{1, 0};
  (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

int UnacknowledgedBytes(int fd) {
  int bytes = 0;
  return ioctl(fd, SIOCOUTQ, &bytes) == 0 ? bytes : 0;
}

Result<void> SetOption(int fd, int level, int name, int value) {
  if (setsockopt(fd, level, name, &value, sizeof(value)) != 0) return LastError("setsockopt");
  return {};
}

void SetNoDelay(int fd) { TryOption(fd, IPPROTO_TCP, TCP_NODELAY, 1); }

void SetKeepalive(int fd, const Keepalive& keepalive) {
  const bool on = keepalive.idle_seconds > 0;
  TryOption(fd, SOL_SOCKET, SO_KEEPALIVE, on ? 1 : 0);
  if (!on) return;
  TryOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, keepalive.idle_seconds);
  TryOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, keepalive.interval_seconds);
  TryOption(fd, IPPROTO_TCP, TCP_KEEPCNT, keepalive.probes);
}

void SetReceiveOffload(int fd, bool on) { TryOption(fd, IPPROTO_UDP, UDP_GRO, on ? 1 : 0); }

bool HasReceivedFin(int fd, uint64_t bytes_read) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return false;
  // A FIN counts as one byte of the sequence.
  return info.tcpi_bytes_received == bytes_read + 1;
}

uint32_t MinRoundTripMicros(int fd) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return UINT32_MAX;
  // Kernels before 4.6 end before this field.
  return size >= offsetof(tcp_info, tcpi_min_rtt) + sizeof(info.tcpi_min_rtt) ? info.tcpi_min_rtt
                                                                              : info.tcpi_rtt;
}

void SetSendBuffer(int fd, int bytes) { TryOption(fd, SOL_SOCKET, SO_SNDBUF, bytes); }

}  // namespace spliceport
