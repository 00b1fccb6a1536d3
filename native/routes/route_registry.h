// route_registry.h: the routes and rules that an engine has in the containers' namespaces, so that sockets there may bear
//                   the addresses of live clients: for each client a counted host route, for each port of a server a
//                   counted rule, in a table of the engine's own.
// Owns:   per namespace in use a netlink socket and the claim to a table; both are let go of when the last client is.
// Thread: any; locked. The lock is held over calls to the kernel, which has one lock for all routes itself.
// Fails:  SysError with EHOSTUNREACH for a client that the namespace itself can reach, EADDRNOTAVAIL for one with flows
//         to another address of it, and what the kernel says where it refuses. Theory of operation: route_registry.cc.
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

// What one connection holds.
struct RouteHolding {
  NamespaceRoutes* routes = nullptr;
  CountedRoute* route = nullptr;
  CountedRule* rule = nullptr;
  // Its server may leave the choice of the source to the route.
  bool holds_source = false;
};

class RouteRegistry {
 public:
  RouteRegistry();
  ~RouteRegistry();
  RouteRegistry(const RouteRegistry&) = delete;
  RouteRegistry& operator=(const RouteRegistry&) = delete;

  // The address of the other family at the interface that has `target`, with its port; EAFNOSUPPORT when there is none.
  // What is said may be kLingerMicros old. The calling thread is in the namespace.
  Result<Address> CounterpartOf(const NetnsPtr& netns, const Address& target);
  // For a connection of `client` to `target`, both IPv4 or both IPv6. The calling thread is in the namespace.
  Result<RouteHolding> Acquire(const NetnsPtr& netns, Protocol protocol, const Address& client,
                               const Address& target);
  void Release(const RouteHolding& holding);
  // For a flow that is about to move: others may have the route's source changed.
  void LetGoOfSource(RouteHolding& holding);
  // Takes away some of what nobody has held for kLingerMicros; when there is more to do, 0 for never.
  int64_t Sweep(int64_t now);
  // The same for all that nobody holds, at once.
  void RemoveIdle();
  // The namespaces' addresses may have changed: the kernel drops routes with a source that is gone.
  void DoubtAll();
  // The routes and rules there are, those that linger among them.
  size_t size();

  static constexpr int64_t kLingerMicros = 1'000'000;

 private:
  Result<NamespaceRoutes*> RoutesIn(const NetnsPtr& netns);

  std::mutex mutex_;
  std::vector<std::unique_ptr<NamespaceRoutes>> namespaces_;
};

}  // namespace spliceport
