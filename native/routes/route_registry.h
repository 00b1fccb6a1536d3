// route_registry.h: an engine's routes and rules in the containers' namespaces, so that sockets
//                   there may have the addresses of live clients: a counted host route for each
//                   client, a counted rule for each port of a server, in a table of the engine's
//                   own.
// Owns:   for each namespace in use a netlink socket and the claim to a table, until its last
//         client is gone.
// Thread: any; locked. The lock is held during calls to the kernel, which has one lock for all
//         routes.
// Fails:  SysError with EHOSTUNREACH for a client that the namespace can reach itself,
//         EADDRNOTAVAIL for one with flows to another address of it, and whatever the kernel
//         refuses with. The theory of operation is at the top of route_registry.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "net/address.h"
#include "net/setns.h"
#include "routes/rtnetlink.h"

namespace spliceport {

class NamespaceRoutes;
struct CountedRoute;
struct CountedRule;

// What one connection holds. The pointers stay valid until Release: an entry with holders is not
// removed, and the tables that they are in do not move their entries.
struct RouteHolding {
  NamespaceRoutes* routes = nullptr;
  CountedRoute* route = nullptr;
  CountedRule* rule = nullptr;
  // The server may leave the choice of its source address to the route.
  bool holds_source = false;
};

class RouteRegistry {
 public:
  RouteRegistry();
  ~RouteRegistry();
  RouteRegistry(const RouteRegistry&) = delete;
  RouteRegistry& operator=(const RouteRegistry&) = delete;

  // The address of the other family at the interface that has `target`, with its port; EAFNOSUPPORT
  // if there is none. It may be kLingerMicros out of date. The calling thread is in the namespace.
  Result<Address> CounterpartOf(const NetnsPtr& netns, const Address& target);
  // For a connection of `client` to `target`, both IPv4 or both IPv6. The calling thread is in the
  // namespace.
  Result<RouteHolding> Acquire(const NetnsPtr& netns, Protocol protocol, const Address& client,
                               const Address& target);
  void Release(const RouteHolding& holding);
  // For a flow that is about to move: others may change the route's source.
  void ReleaseSource(RouteHolding& holding);
  // Removes some of what has had no holder for kLingerMicros. Returns when to call it again; 0:
  // never.
  int64_t Sweep(int64_t now);
  // The same for everything without a holder, at once.
  void RemoveIdle();
  // The namespaces' addresses may have changed: the kernel drops routes with a source that is gone.
  void MarkAllStale();
  // The number of routes and rules, including those that linger.
  size_t size();

  static constexpr int64_t kLingerMicros = 1'000'000;

 private:
  Result<NamespaceRoutes*> RoutesIn(const NetnsPtr& netns);

  std::mutex mutex_;
  std::vector<std::unique_ptr<NamespaceRoutes>> namespaces_;
};

}  // namespace spliceport
