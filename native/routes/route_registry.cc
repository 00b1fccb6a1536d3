// Theory of operation
//
//   what      A transparent socket in the container's namespace is bound to the client's address and port. What the
//             server sends there must come back to it, and nothing else may change. So a rule sends what leaves from the
//             server's port through a table of ours, which has a `local` route to each live client and nothing more: all
//             that is not for a live client falls through to the namespace's own rules.
//   counting  A connection holds its client's route and its port's rule. When the last one goes they linger for
//             kLingerMicros, so that a client which comes back costs no call, and then go in batches, routes before
//             rules: wherever there is a route there is a rule of the same table.
//   source    A server on UDP that is bound to every address lets the route say which it answers from. A client with flows
//             to two addresses of a namespace would need two routes: the second goes the ordinary way.
//   families  A client of another family than its target's is led to the address of its own that the same interface has. The
//             list of addresses is read again after kLingerMicros: an address that is new cannot be used for a second or two.
//   near      A client on a network that the namespace is on may be spoken to directly as well, and keeps the way there is.
//             The answer to that question lingers as a route does.
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

// Removals at once: some hundreds of microseconds.
constexpr size_t kMostRemovals = 256;
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
  // Perhaps the kernel does not have it: it is asked for again with the next holder.
  bool doubtful = false;
};

struct CountedRoute : Counted {
  LocalRoute value;
  // Holders whose server may leave the choice of the source to the route.
  uint32_t source_holders = 0;
  Reach reach = Reach::kBeyond;
};

struct CountedRule : Counted {
  SourceRule value;
};

// The part of one namespace.
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
  // Of what has been idle since `since` or longer; whether some of that is left.
  bool RemoveIdle(int64_t since);
  // Whether time alone will change something.
  bool waits() const { return !idle_routes_.empty() || !idle_rules_.empty() || refuses(); }
  void DoubtAll();

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
  const auto cleared = ClearTheDead(socket.value(), claim.value().table);
  if (!cleared.ok()) return Refuse(cleared.error());
  claim_ = std::move(claim.value());
  socket_ = std::move(socket.value());
  return {};
}

SysError NamespaceRoutes::Refuse(SysError error) {
  refusal_ = error;
  // What has run out now may be there for the next.
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
  route.value()->doubtful = rule.doubtful = !committed.ok();
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
    // Not known is not near: what refuses now refuses the route as well.
    route.reach = reach.ok() ? reach.value() : Reach::kBeyond;
    MakeIdle(route, idle_routes_, NowMicros());
    if (route.reach == Reach::kBeyond) batch.Put(route.value);
  }
  if (route.reach != Reach::kBeyond) return SysError{-EHOSTUNREACH, "connect"};
  if (is_new) return &route;
  if (route.value.source == source) {
    if (route.doubtful) batch.Put(route.value);
    return &route;
  }
  if (route.source_holders == 0)
    route.value.source = source;
  else if (wants_source)
    return SysError{-EADDRNOTAVAIL, "connect"};
  // Also where it stays as it was: the kernel drops routes whose source is no longer an address of the namespace.
  batch.Put(route.value);
  return &route;
}

CountedRule& NamespaceRoutes::RuleFor(const SourceRule& wanted, RouteBatch& batch) {
  const auto [found, is_new] = rules_.try_emplace(KeyOf(wanted));
  if (is_new) found->second.value = wanted;
  if (is_new || found->second.doubtful) batch.Add(wanted);
  return found->second;
}

void NamespaceRoutes::DoubtAll() {
  addresses_read_ = 0;
  for (auto& [client, route] : routes_)
    route.doubtful = true;
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
  // One that was used since it was listed is listed again, or is in use.
  const auto sweep = [&](auto& idle, auto&& remove) {
    for (size_t left = std::min(idle.size(), kMostRemovals); left > 0; --left) {
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
  if (batch.size() > 0) (void)socket_->Commit(batch).ok();
  return more;
}

RouteRegistry::RouteRegistry() = default;

// Nobody holds anything any more.
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

void RouteRegistry::LetGoOfSource(RouteHolding& holding) {
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

void RouteRegistry::DoubtAll() {
  const std::lock_guard lock(mutex_);
  for (const auto& routes : namespaces_)
    routes->DoubtAll();
}

size_t RouteRegistry::size() {
  const std::lock_guard lock(mutex_);
  size_t sum = 0;
  for (const auto& routes : namespaces_)
    sum += routes->size();
  return sum;
}

}  // namespace spliceport
