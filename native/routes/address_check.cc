#include "routes/address_check.h"

namespace spliceport {

bool AddressCheck::IsGone(const NetnsPtr& netns, const Address& address) {
  const Address host = address.Unmapped().WithoutPort();
  // The kernel does not answer for a link-local address without its link.
  const bool is_of_a_link = host.is_v6() && IN6_IS_ADDR_LINKLOCAL(&host.v6());
  if (is_of_a_link || host.is_unspecified()) return false;
  for (const Known& known : known_) {
    if (known.address == host && IsSame(known.netns, netns)) return known.is_gone;
  }
  known_.push_back({netns, host, Ask(netns, host)});
  return known_.back().is_gone;
}

bool AddressCheck::Ask(const NetnsPtr& netns, const Address& address) {
  if (!cursor_.Enter(netns).ok()) return false;
  auto socket = RouteSocket::Open();
  if (!socket.ok()) return false;
  auto reach = socket.value().ReachOf(address);
  return reach.ok() && reach.value() != Reach::kOwn;
}

}  // namespace spliceport
