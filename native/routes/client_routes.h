// client_routes.h: a worker's share of the engine's routes to live clients.
// Owns:   sockets whose sessions have ended before the server has acknowledged everything.
// Thread: the worker's; destroyed after the worker has stopped.
// Fails:  as RouteRegistry::Acquire.
#pragma once

#include <memory>
#include <vector>

#include "base/timer.h"
#include "routes/route_registry.h"

namespace spliceport {

class ClientRoutes;

// As long as it exists, what the server sends to the client's address is delivered to this
// namespace.
class ClientLease {
 public:
  ClientLease(RouteRegistry& registry, ClientRoutes& owner, const RouteHolding& holding,
              const Address& server)
      : registry_(registry), owner_(&owner), holding_(holding), server_(server) {}
  ~ClientLease();
  ClientLease(const ClientLease&) = delete;
  ClientLease& operator=(const ClientLease&) = delete;
  // Whose timer removes the route later; null while its session moves between workers.
  void AttachTo(ClientRoutes* owner) { owner_ = owner; }
  // The address that the client is led to. It has the client's family; the forward's target may
  // not.
  const Address& server() const { return server_; }
  // For a flow that is about to move: others may change the route's source.
  void ReleaseSource();

 private:
  RouteRegistry& registry_;
  ClientRoutes* owner_;
  RouteHolding holding_;
  const Address server_;
};
using ClientLeasePtr = std::unique_ptr<ClientLease>;

class ClientRoutes final : private Timer {
 public:
  ClientRoutes(TimerQueue& timers, RouteRegistry& registry)
      : timers_(timers), registry_(registry) {}

  // As RouteRegistry::CounterpartOf.
  Result<Address> CounterpartOf(const NetnsPtr& netns, const Address& target);
  // For a connection of `client` to `target`, both IPv4 or both IPv6. The calling thread is in the
  // namespace.
  Result<ClientLeasePtr> Acquire(const NetnsPtr& netns, Protocol protocol, const Address& client,
                                 const Address& target);
  // Closes the socket when the server has acknowledged everything, or nothing for two minutes.
  void KeepUntilAcknowledged(UniqueFd socket, ClientLeasePtr lease);
  // The namespaces' addresses may have changed.
  void MarkAllStale() { registry_.MarkAllStale(); }

 private:
  friend class ClientLease;
  struct Unacknowledged {
    UniqueFd socket;
    ClientLeasePtr lease;
    int bytes;
    int64_t since;
  };
  void OnTimer() override;
  void ArmSoon();
  void CloseAcknowledged(int64_t now);

  TimerQueue& timers_;
  RouteRegistry& registry_;
  std::vector<Unacknowledged> unacknowledged_;
};

}  // namespace spliceport
