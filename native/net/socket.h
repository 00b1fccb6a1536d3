// socket.h: every TCP and UDP socket call of the engine, each with its failure as a value.
// Kernel: descriptors are CLOEXEC and non-blocking from birth; EINTR is retried here and seen nowhere else.
//         "Would block" and the end of a stream are outcomes (Io), not failures.
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

// True when descriptors, buffers or memory have run out: a matter of time, and of no one connection.
bool IsExhaustion(int error);

// True when it was descriptors that have run out, of the process or of the system.
bool IsOutOfDescriptors(int error);

// True when a call on a connection failed because of the other end or the way there. All else is this machine's own:
// memory, a security rule; the connection may be as well as ever then.
bool IsPeersFault(int error);

// When the other end of a silent connection is asked whether it is still there, and how often in vain before it counts
// as gone. Whole seconds, as the kernel has them: TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT in tcp(7).
struct Keepalive {
  int idle_seconds = 0;  // 0: it is never asked.
  int interval_seconds = 0;
  int probes = 0;
};

// A socket for clients: bound, and listening when it is TCP. TCP_NODELAY is inherited by what it accepts; UDP gets packet
// info, UDP_GRO and the kernel's drop count.
Result<UniqueFd> OpenHostSocket(Protocol protocol, const Address& address, bool ipv6_only);
Result<Address> LocalAddress(int fd);
// Where the other end sees it come from; unspecified when there is no such thing yet.
Address SourceOf(const UniqueFd& fd);

// An unconnected, unbound stream socket in the calling thread's namespace.
Result<UniqueFd> OpenStreamSocket(bool v6);
// The same for datagrams, with UDP_GRO and the kernel's drop count.
Result<UniqueFd> OpenDatagramSocket(bool v6);
// Connected at once.
Result<UniqueFd> OpenConnectedDatagramSocket(const Address& target);
// Whether a connected socket is its own other end: while nobody listens at a port that the kernel may give to a client,
// it sooner or later gives a client that very port. TCP takes its SYN for an answer then, and UDP hears itself. One call,
// as a rule.
bool IsConnectedToItself(int fd, const Address& target);
// What has gone wrong with the connection and was not told yet, 0 for nothing; this tells it. SO_ERROR in socket(7).
int TakeError(int fd);
// Whether the other end's FIN has come. `bytes_read` of the connection have been read, which is all there were: after a
// RST a read says "end" with or without a FIN.
bool HasReceivedFin(int fd, uint64_t bytes_read);
// Asks for a connection. EINPROGRESS is success: the socket becomes writable.
Result<void> StartConnect(int fd, const Address& target);

// The next connection; would_block() when there is none.
Io Accept(int listener, UniqueFd& connection, Address& client);

Io Receive(int fd, std::span<char> buffer);
// What the next Receive would bring; it stays there.
Io Peek(int fd, std::span<char> buffer);
Io Send(int fd, std::span<const char> bytes);
// A FIN to the other end; a failure means that the connection is gone, which the next read tells better.
void ShutdownWrite(int fd);
// Makes the next close(2) send a RST. SO_LINGER in socket(7).
void ResetOnClose(int fd);
// Bytes sent and not yet acknowledged. SIOCOUTQ in tcp(7); 0 when the kernel does not say.
int UnacknowledgedBytes(int fd);
// For options without which the socket would not do what it is for.
Result<void> SetOption(int fd, int level, int name, int value);
void SetNoDelay(int fd);
// What a listener accepts inherits it.
void SetKeepalive(int fd, const Keepalive& keepalive);
// Whether trains of datagrams arrive as one. UDP_GRO in udp(7).
void SetReceiveOffload(int fd, bool on);
// The least round trip seen, from the handshake on. Unit: microseconds; nothing measured yet: UINT32_MAX.
uint32_t MinRoundTripMicros(int fd);
// Fixes a size that the kernel would tune by itself. Unit: bytes, before the kernel doubles them. SO_SNDBUF in socket(7).
void SetSendBuffer(int fd, int bytes);

}  // namespace spliceport
