#include "routes/transparent.h"

#include <netinet/in.h>

#include "base/descriptor_budget.h"
#include "net/setns.h"
#include "routes/route_tables.h"

namespace spliceport {

namespace {

Result<void> MakeTransparent(int fd, bool v6) {
  return v6 ? SetOption(fd, IPPROTO_IPV6, IPV6_TRANSPARENT, 1)
            : SetOption(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
}

// Whether a host on a network may have this address. A load balancer can name any address, and the
// container would get a route to it.
bool IsOfAHost(const Address& address) {
  if (address.is_v6())
    return !IN6_IS_ADDR_LOOPBACK(&address.v6()) && !IN6_IS_ADDR_MULTICAST(&address.v6());
  const in_addr_t bits = ntohl(address.v4().s_addr);
  const in_addr_t network = bits >> 24;
  return network != 0 && network != IN_LOOPBACKNET && !IN_MULTICAST(bits) &&
         bits != INADDR_BROADCAST;
}

Result<void> BindTo(int fd, Protocol protocol, const Address& client) {
  const auto transparent = MakeTransparent(fd, client.is_v6());
  if (!transparent.ok()) return transparent;
  // A client may use one port for several connections. Over UDP two such flows could not be
  // distinguished.
  if (protocol == Protocol::kTcp) (void)SetOption(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (bind(fd, client.bytes(), client.size()) != 0) return LastError("bind");
  return {};
}

}  // namespace

Result<ClientSocket> ConnectAsClient(ClientRoutes& routes, const NetnsPtr& netns, Protocol protocol,
                                     const Address& client, const Address& target,
                                     Counterpart counterpart) {
  if (!client.IsAnswerable() || !IsOfAHost(client)) return SysError{-EHOSTUNREACH, "connect"};
  Result<Address> server = target;
  if (client.is_v6() != target.is_v6()) {
    if (counterpart == Counterpart::kAvoided) return SysError{-EAFNOSUPPORT, "connect"};
    server = routes.CounterpartOf(netns, target);
    if (!server.ok()) return server.error();
  }
  auto lease = routes.Acquire(netns, protocol, client, server.value());
  if (!lease.ok()) return lease.error();
  auto opened = protocol == Protocol::kTcp ? OpenStreamSocket(client.is_v6())
                                           : OpenDatagramSocket(client.is_v6());
  if (!opened.ok()) return opened.error();
  const int fd = opened.value().get();
  if (!DescriptorBudget::OfProcess().HasRoomFor(fd)) return SysError{-EMFILE, "socket"};
  const auto bound = BindTo(fd, protocol, client);
  if (!bound.ok()) return bound.error();
  const auto started = StartConnect(fd, server.value());
  if (!started.ok()) return started.error();
  return ClientSocket{std::move(opened.value()), std::move(lease.value())};
}

Result<void> PrepareTransparency(int netns_fd) {
  return RunIn(netns_fd, []() -> Result<void> {
    auto opened = OpenStreamSocket(false);
    if (!opened.ok()) return opened.error();
    const auto transparent = MakeTransparent(opened.value().get(), false);
    return transparent.ok() ? PrepareRoutes() : transparent;
  });
}

}  // namespace spliceport
