// Theory of operation
//
//   what      A transparent socket in the container's namespace is bound to the client's address
//             and port. What the server sends there must come back to it, and nothing else may
//             change. So a rule looks up packets from the server's port in a table of ours, which
//             has only a `local` route to each live client. All other packets fall through to the
//             namespace's own rules.
//   counting  A connection holds its client's route and its port's rule. Without holders they
//             linger for kLingerMicros, so that a client which comes back costs no call. Then they
//             are removed in batches, routes before rules: wherever there is a route there is a
//             rule of the same table.
//   source    A UDP server that is bound to every address answers from the source address of the
//             route. A client with flows to two addresses of a namespace would need two routes: the
//             second flow is not transparent.
//   families  A client of another family than its target's is led to the address of its own family
//             at the same interface. The list of addresses is read again after kLingerMicros, so a
//             new address cannot be used for a second or two.
//   near      A client on a network of the namespace may also be a peer of its own, so its route is
//             left alone. The answer to that question lingers as a route does.
//   tables    Each engine has a table of its own in each namespace: route_tables.h.

#include "routes/route_registry.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <unordered_map>
#include <utility>

#include "base/timer.h"
#include "routes/route_tables.h"

namespace spliceport {

namespace {

// Removals per call: some hundreds of microseconds.
constexpr size_t kMaxRemovals = 256;
constexpr int64_t kNextRemovalMicros = 1'000;
// A namespace that refuses is not asked again for this long.
constexpr int64_t kRefusalMicros = 10'000'000;

uint32_t KeyOf(const SourceRule& rule) {
  return (uint32_t{rule.port} << 2) | (rule.protocol == Protocol::kUdp ? 2U : 0U) |
         (rule.v6 ? 1U : 0U);
}

struct AddressHash {
  size_t operator()(const Address& address) const { return address.Hash(); }
};

}  // namespace

struct Counted {
  uint32_t holders = 0;
  int64_t idle_since = 0;
  bool listed_as_idle = false;
  // The kernel may not have it any more: it is added again with the next holder.
  bool stale = false;
};

struct CountedRoute : Counted {
  LocalRoute value;
  // Holders whose server may leave the choice of its source address to the route.
  uint32_t source_holders = 0;
  Reach reach = Reach::kBeyond;
};

struct CountedRule : Counted {
  SourceRule value;
};

// The routes and rules of one namespace.
//
// Pointers into routes_ and rules_ (RouteHolding, idle_routes_, idle_rules_) stay valid because an
// unordered_map does not move its elements, and because only RemoveIdle erases one: without
// holders, and after it has left the list of idle ones, where listed_as_idle keeps it at most once.
class NamespaceRoutes {
 public:
  explicit NamespaceRoutes(NetnsPtr netns) : netns_(std::move(netns)) {}
  ~NamespaceRoutes() {
    while (RemoveIdle(INT64_MAX)) {
    }
  }
  NamespaceRoutes(const NamespaceRoutes&) = delete;
  NamespaceRoutes& operator=(const NamespaceRoutes&) = delete;

  bool IsOf(const NetnsPtr& netns) const { return IsSame(netns, netns_); }
  bool is_open() const { return socket_.has_value(); }
  bool refuses() const { return refused_until_ != 0 && NowMicros() < refused_until_; }
  SysError refusal() const { return refusal_; }
  size_t size() const { return routes_.size() + rules_.size(); }
  bool unused() const { return size() == 0 && !refuses(); }

  Result<void> Open();
  Result<Address> CounterpartOf(const Address& target);
  Result<RouteHolding> Acquire(Protocol protocol, const Address& client, const Address& target);
  void Release(const RouteHolding& holding);
  // Removes some of what has been idle since `since` or longer. True if some of that is left.
  bool RemoveIdle(int64_t since);
  // Whether something will have to be done later.
  bool waits() const { return !idle_routes_.empty() || !idle_rules_.empty() || refuses(); }
  void MarkAllStale();

 private:
  SysError Refuse(SysError error);
  Result<CountedRoute*> RouteTo(const Address& client, const Address& source, bool wants_source,
                                RouteBatch& batch);
  CountedRule& RuleFor(const SourceRule& wanted, RouteBatch& batch);
  template <typename T>
  static void MakeIdle(T& counted, std::deque<T*>& idle, int64_t now);

  const NetnsPtr netns_;
  std::optional<RouteSocket> socket_;
  TableClaim claim_;
  int64_t refused_until_ = 0;
  SysError refusal_{0, ""};
  std::unordered_map<Address, CountedRoute, AddressHash> routes_;
  // By family, protocol and port.
  std::unordered_map<uint32_t, CountedRule> rules_;
  std::deque<CountedRoute*> idle_routes_;
  std::deque<CountedRule*> idle_rules_;
  std::vector<InterfaceAddress> addresses_;
  int64_t addresses_read_ = 0;  // 0: not yet.
};

// In the calling thread's namespace.
Result<void> NamespaceRoutes::Open() {
  auto socket = RouteSocket::Open();
  if (!socket.ok()) return Refuse(socket.error());
  auto claim = ClaimTable();
  if (!claim.ok()) return Refuse(claim.error());
  const auto cleared = RemoveLeftovers(socket.value(), claim.value().table);
  if (!cleared.ok()) return Refuse(cleared.error());
  claim_ = std::move(claim.value());
  socket_ = std::move(socket.value());
  return {};
}

SysError NamespaceRoutes::Refuse(SysError error) {
  refusal_ = error;
  // Resources that have run out may be available for the next client.
  refused_until_ = IsExhaustion(-error.code) ? 0 : NowMicros() + kRefusalMicros;
  return error;
}

Result<Address> NamespaceRoutes::CounterpartOf(const Address& target) {
  const int64_t now = NowMicros();
  if (addresses_read_ == 0 || now - addresses_read_ > RouteRegistry::kLingerMicros) {
    auto addresses = socket_->Addresses();
    if (!addresses.ok()) return addresses.error();
    addresses_ = std::move(addresses.value());
    addresses_read_ = now;
  }
  const Address address = target.WithoutPort();
  const auto own = std::ranges::find(addresses_, address, &InterfaceAddress::address);
  if (own != addresses_.end()) {
    for (const InterfaceAddress& each : addresses_) {
      if (each.interface != own->interface || !each.is_for_others) continue;
      if (each.address.is_v6() == target.is_v6()) continue;
      Address counterpart = each.address;
      counterpart.set_port(target.port());
      return counterpart;
    }
  }
  return SysError{-EAFNOSUPPORT, "connect"};
}

Result<RouteHolding> NamespaceRoutes::Acquire(Protocol protocol, const Address& client,
                                              const Address& target) {
  RouteBatch batch;
  const bool holds_source = protocol == Protocol::kUdp;
  auto route = RouteTo(client.WithoutPort(), target.WithoutPort(), holds_source, batch);
  if (!route.ok()) return route.error();
  CountedRule& rule = RuleFor({client.is_v6(), protocol, target.port(), claim_.table}, batch);
  ++route.value()->holders;
  if (holds_source) ++route.value()->source_holders;
  ++rule.holders;
  const RouteHolding holding{this, route.value(), &rule, holds_source};
  if (batch.size() == 0) return holding;
  const auto committed = socket_->Commit(batch);
  route.value()->stale = rule.stale = !committed.ok();
  if (committed.ok()) return holding;
  Release(holding);
  const int error = committed.error().code;
  if (error == -EPERM || error == -EOPNOTSUPP) return Refuse(committed.error());
  return committed.error();
}

Result<CountedRoute*> NamespaceRoutes::RouteTo(const Address& client, const Address& source,
                                               bool wants_source, RouteBatch& batch) {
  const auto [found, is_new] = routes_.try_emplace(client);
  CountedRoute& route = found->second;
  if (is_new) {
    route.value = {client, source, claim_.table};
    auto reach = socket_->ReachOf(client);
    // If the question fails, adding the route will too.
    route.reach = reach.ok() ? reach.value() : Reach::kBeyond;
    MakeIdle(route, idle_routes_, NowMicros());
    if (route.reach == Reach::kBeyond) batch.Put(route.value);
  }
  if (route.reach != Reach::kBeyond) return SysError{-EHOSTUNREACH, "connect"};
  if (is_new) return &route;
  if (route.value.source == source) {
    if (route.stale) batch.Put(route.value);
    return &route;
  }
  if (route.source_holders == 0)
    route.value.source = source;
  else if (wants_source)
    return SysError{-EADDRNOTAVAIL, "connect"};
  // Also where it stays as it was: the kernel drops routes whose source is no longer an address of
  // the namespace.
  batch.Put(route.value);
  return &route;
}

CountedRule& NamespaceRoutes::RuleFor(const SourceRule& wanted, RouteBatch& batch) {
  const auto [found, is_new] = rules_.try_emplace(KeyOf(wanted));
  if (is_new) found->second.value = wanted;
  if (is_new || found->second.stale) batch.Add(wanted);
  return found->second;
}

void NamespaceRoutes::MarkAllStale() {
  addresses_read_ = 0;
  for (auto& [client, route] : routes_)
    route.stale = true;
}

void NamespaceRoutes::Release(const RouteHolding& holding) {
  CountedRoute& route = *holding.route;
  CountedRule& rule = *holding.rule;
  if (holding.holds_source) --route.source_holders;
  --route.holders;
  --rule.holders;
  if (route.holders > 0 && rule.holders > 0) return;
  const int64_t now = NowMicros();
  if (route.holders == 0) MakeIdle(route, idle_routes_, now);
  if (rule.holders == 0) MakeIdle(rule, idle_rules_, now);
}

template <typename T>
void NamespaceRoutes::MakeIdle(T& counted, std::deque<T*>& idle, int64_t now) {
  counted.idle_since = now;
  if (std::exchange(counted.listed_as_idle, true)) return;
  idle.push_back(&counted);
}

bool NamespaceRoutes::RemoveIdle(int64_t since) {
  RouteBatch batch;
  bool more = false;
  // One that has been used since is idle for a shorter time now, or in use.
  const auto sweep = [&](auto& idle, auto&& remove) {
    for (size_t left = std::min(idle.size(), kMaxRemovals); left > 0; --left) {
      auto* counted = idle.front();
      idle.pop_front();
      counted->listed_as_idle = false;
      if (counted->holders > 0) continue;
      if (counted->idle_since > since) {
        counted->listed_as_idle = true;
        idle.push_back(counted);
        continue;
      }
      remove(*counted);
    }
    more = more || (!idle.empty() && idle.front()->idle_since <= since);
  };
  sweep(idle_routes_, [&](const CountedRoute& route) {
    const LocalRoute value = route.value;
    if (route.reach == Reach::kBeyond) batch.Remove(LocalRoute{value.client, {}, claim_.table});
    routes_.erase(value.client);
  });
  if (!more) {
    sweep(idle_rules_, [&](const CountedRule& rule) {
      const SourceRule value = rule.value;
      batch.Remove(value);
      rules_.erase(KeyOf(value));
    });
  }
  if (batch.size() > 0) socket_->Commit(batch).Ignore();
  return more;
}

RouteRegistry::RouteRegistry() = default;

// There are no holders any more.
RouteRegistry::~RouteRegistry() = default;

Result<NamespaceRoutes*> RouteRegistry::RoutesIn(const NetnsPtr& netns) {
  const auto known =
      std::ranges::find_if(namespaces_, [&](const auto& routes) { return routes->IsOf(netns); });
  const bool is_new = known == namespaces_.end();
  if (is_new) namespaces_.push_back(std::make_unique<NamespaceRoutes>(netns));
  NamespaceRoutes& routes = is_new ? *namespaces_.back() : **known;
  if (routes.refuses()) return routes.refusal();
  if (!routes.is_open()) {
    const auto opened = routes.Open();
    if (!opened.ok()) return opened.error();
  }
  return &routes;
}

Result<Address> RouteRegistry::CounterpartOf(const NetnsPtr& netns, const Address& target) {
  const std::lock_guard lock(mutex_);
  auto routes = RoutesIn(netns);
  if (!routes.ok()) return routes.error();
  return routes.value()->CounterpartOf(target);
}

Result<RouteHolding> RouteRegistry::Acquire(const NetnsPtr& netns, Protocol protocol,
                                            const Address& client, const Address& target) {
  const std::lock_guard lock(mutex_);
  auto routes = RoutesIn(netns);
  if (!routes.ok()) return routes.error();
  return routes.value()->Acquire(protocol, client, target);
}

void RouteRegistry::Release(const RouteHolding& holding) {
  const std::lock_guard lock(mutex_);
  holding.routes->Release(holding);
}

void RouteRegistry::ReleaseSource(RouteHolding& holding) {
  const std::lock_guard lock(mutex_);
  if (std::exchange(holding.holds_source, false)) --holding.route->source_holders;
}

int64_t RouteRegistry::Sweep(int64_t now) {
  const std::lock_guard lock(mutex_);
  bool more = false;
  for (const auto& routes : namespaces_)
    more = routes->RemoveIdle(now - kLingerMicros) || more;
  std::erase_if(namespaces_, [](const auto& routes) { return routes->unused(); });
  if (more) return now + kNextRemovalMicros;
  const bool waits =
      std::ranges::any_of(namespaces_, [](const auto& routes) { return routes->waits(); });
  return waits ? now + kLingerMicros : 0;
}

void RouteRegistry::RemoveIdle() {
  const std::lock_guard lock(mutex_);
  for (const auto& routes : namespaces_) {
    while (routes->RemoveIdle(INT64_MAX)) {
    }
  }
  std::erase_if(namespaces_, [](const auto& routes) { return routes->size() == 0; });
}

void RouteRegistry::MarkAllStale() {
  const std::lock_guard lock(mutex_);
  for (const auto& routes : namespaces_)
    routes->MarkAllStale();
}

size_t RouteRegistry::size() {
  const std::lock_guard lock(mutex_);
  size_t sum = 0;
  for (const auto& routes : namespaces_)
    sum += routes->size();
  return sum;
}

}  // namespace spliceport
