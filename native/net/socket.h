// socket.h: every TCP and UDP socket call of the engine, each with its failure as a value.
// Thread: any; sockets are created in the calling thread's namespace.
// Kernel: descriptors are created CLOEXEC and non-blocking. EINTR is retried here and not seen
//         elsewhere. "Would block" and the end of a stream are outcomes (Io), not failures.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "base/unique_fd.h"
#include "net/address.h"

namespace spliceport {

enum class Protocol : uint8_t { kTcp, kUdp };

// The outcome of moving bytes: `count` > 0, or one of the predicates.
struct Io {
  size_t count = 0;
  int error = 0;  // Positive errno.
  bool moved() const { return count > 0; }
  bool at_end() const { return count == 0 && error == 0; }
  bool would_block() const;
  bool failed() const { return error != 0 && !would_block(); }
};

// True if descriptors, buffers or memory have run out: that passes, and is not the fault of a
// connection.
bool IsExhaustion(int error);

// True if descriptors have run out, of the process or of the system.
bool IsOutOfDescriptors(int error);

// True if a call on a connection failed because of the other end or the path to it. Any other error
// is this machine's: memory, a security rule. The connection may still work then.
bool IsPeerError(int error);

// When a silent connection is probed, and how many probes may go unanswered before it counts as
// dead. Whole seconds, as in the kernel: TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT in tcp(7).
struct Keepalive {
  int idle_seconds = 0;  // 0: no probes.
  int interval_seconds = 0;
  int probes = 0;
};

// A socket for clients: bound, and for TCP listening. Accepted sockets inherit TCP_NODELAY. UDP
// gets packet info, UDP_GRO and the kernel's drop count.
Result<UniqueFd> OpenHostSocket(Protocol protocol, const Address& address, bool ipv6_only);
Result<Address> LocalAddress(int fd);

// What a descriptor is, which somebody else has made.
struct SocketFacts {
  int family = 0;    // AF_INET, or another.
  int type = 0;      // SOCK_STREAM, or another.
  int protocol = 0;  // IPPROTO_TCP, or another.
  bool is_listening = false;
  bool is_connected = false;
  bool is_ipv6_only = false;
  // Unspecified for sockets of other families than IPv4 and IPv6.
  Address local;
};
// ENOTSOCK if it is no socket, EBADF if it is not open.
Result<SocketFacts> DescribeSocket(int fd);
// A copy of a socket as OpenHostSocket makes them. The original shares its being non-blocking.
Result<UniqueFd> AdoptHostSocket(Protocol protocol, int borrowed_fd, bool v6);
// Whether a socket that is bound to `local` also takes IPv4.
bool IsDualStack(int fd, const Address& local);
// The address that the other end sees; unspecified before there is one.
Address SourceOf(const UniqueFd& fd);

// An unconnected, unbound stream socket in the calling thread's namespace.
Result<UniqueFd> OpenStreamSocket(bool v6);
// The same for datagrams, with UDP_GRO and the kernel's drop count.
Result<UniqueFd> OpenDatagramSocket(bool v6);
// Connected at once.
Result<UniqueFd> OpenConnectedDatagramSocket(const Address& target);
// Whether a socket is connected to itself. If nobody listens at a port of the ephemeral range, the
// kernel sooner or later gives that very port to a client. TCP then takes its own SYN for an
// answer, and UDP receives what it sends. Usually one call.
bool IsConnectedToItself(int fd, const Address& target);
// The connection's pending error, 0 for none; clears it. SO_ERROR in socket(7).
int TakeError(int fd);
// Whether the other end's FIN has come. `bytes_read` is all that there was to read. After a RST a
// read returns 0 with or without a FIN.
bool HasReceivedFin(int fd, uint64_t bytes_read);
// Starts to connect. EINPROGRESS is success: the socket becomes writable.
Result<void> StartConnect(int fd, const Address& target);

// The next connection; would_block() if there is none.
Io Accept(int listener, UniqueFd& connection, Address& client);

Io Receive(int fd, std::span<char> buffer);
// What the next Receive would return; it stays in the socket.
Io Peek(int fd, std::span<char> buffer);
Io Send(int fd, std::span<const char> bytes);
// Sends a FIN. A failure means that the connection is gone, which the next read reports better.
void ShutdownWrite(int fd);
// Makes the next close(2) send a RST. SO_LINGER in socket(7).
void ResetOnClose(int fd);
// Bytes sent and not yet acknowledged. SIOCOUTQ in tcp(7); 0 if the kernel does not say.
int UnacknowledgedBytes(int fd);
// For options that the socket cannot work without.
Result<void> SetOption(int fd, int level, int name, int value);
void SetNoDelay(int fd);
// Sockets that a listener accepts inherit it.
void SetKeepalive(int fd, const Keepalive& keepalive);
// Whether trains of datagrams arrive as one. UDP_GRO in udp(7).
void SetReceiveOffload(int fd, bool on);
// The shortest round trip so far, from the handshake on. Unit: microseconds; UINT32_MAX: not
// measured yet.
uint32_t MinRoundTripMicros(int fd);
// Fixes a size that the kernel would tune by itself. Unit: bytes, before the kernel doubles them.
// SO_SNDBUF in socket(7).
void SetSendBuffer(int fd, int bytes);

}  // namespace spliceport
