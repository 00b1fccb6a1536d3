// client_routes.h: a worker's share in the engine's routes to live clients.
// Owns:   sockets whose sessions have ended before the server had acknowledged everything.
// Thread: the worker's; destroyed after it.
// Fails:  as RouteRegistry::Acquire.
#pragma once

#include <memory>
#include <vector>

#include "base/timer.h"
#include "routes/route_registry.h"

namespace spliceport {

class ClientRoutes;

// While it lives, what the server sends to the client's address comes to this namespace.
class ClientLease {
 public:
  ClientLease(RouteRegistry& registry, ClientRoutes& owner, const RouteHolding& holding,
              const Address& server)
      : registry_(registry), owner_(&owner), holding_(holding), server_(server) {}
  ~ClientLease();
  ClientLease(const ClientLease&) = delete;
  ClientLease& operator=(const ClientLease&) = delete;
  // Who looks after what it leaves; null while its session moves between workers, where nobody can.
  void BelongTo(ClientRoutes* owner) { owner_ = owner; }
  // Where the client is led: of its own family, as the forward's target need not be.
  const Address& server() const { return server_; }
  // For a flow that is about to move: others may have the route's source changed.
  void LetGoOfSource();

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
  // For a connection of `client` to `target`, both IPv4 or both IPv6. The calling thread is in the namespace.
  Result<ClientLeasePtr> Acquire(const NetnsPtr& netns, Protocol protocol, const Address& client,
                                 const Address& target);
  // Closes the socket when the server has acknowledged all, or does not for long.
  void KeepUntilAcknowledged(UniqueFd socket, ClientLeasePtr lease);
  // The namespaces' addresses may have changed.
  void DoubtAll() { registry_.DoubtAll(); }

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
