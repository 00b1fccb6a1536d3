// socket.h: the sockets of the load generator. All are non-blocking and close-on-exec.
// Fails: setting up must succeed; only what a forwarder under test can refuse is returned to the
//        caller.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <string>

#include "base.h"

namespace spliceport::bench {

struct Address {
  sockaddr_storage storage = {};
  socklen_t length = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
};

// `1.2.3.4:80` or `[::1]:80`.
Address ParseAddress(const std::string& text);

UniqueFd ListenTcp(const Address& address);
UniqueFd BindUdp(const Address& address);

// Of IPv4, `count` after `first`, without a port.
Address AddressAfter(const Address& first, uint32_t count);
// The same address, `count` ports further.
Address PortAfter(const Address& first, uint32_t count);

// Begins to connect, from `source` if given; completion is reported by epoll. An invalid descriptor
// when it failed at once.
UniqueFd StartConnectTcp(const Address& address, const Address* source = nullptr);
// Waits for the connection; ends the program when it fails.
UniqueFd ConnectTcp(const Address& address);
UniqueFd ConnectUdp(const Address& address);

void SetOption(int fd, int level, int name, int value, const char* what);
// Asks for socket buffers of a datagram server or sender; the kernel may grant less.
void GrowBuffers(int fd);

// Raises the soft limit on open files to the hard one.
void RaiseFileLimit();

}  // namespace spliceport::bench
