// Theory of operation
//
// Several forwarders may serve one namespace at the same time, and none may disturb another; but what one leaves behind
// that was killed must not stay for ever. So each engine that is at work in a namespace has a table of its own there,
// whose number it has claimed by a unix socket of that name among the namespace's own abstract names (unix(7)). The kernel
// frees the name however the process ends. Rules with this project's mark that lead to a table whose name is free are
// what a dead process has left: whoever gets hold of the name takes them away, with the table's routes. Rules lead there,
// because wherever there is such a route there is a rule for its table.

#include "route_tables.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <utility>

namespace spliceport {

namespace {

constexpr uint32_t kFirstTable = 0x7370'0000;
constexpr uint32_t kTables = 1'024;

bool IsOurs(uint32_t table) { return table - kFirstTable < kTables; }

// The right to use a table in the calling thread's namespace; EADDRINUSE while another has it.
Result<UniqueFd> Claim(uint32_t table) {
  UniqueFd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return LastError("socket");
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  // The name begins with a zero: unix(7), "abstract".
  const int length =
      std::snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "spliceport/%08x", table);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + length);
  if (bind(fd.get(), reinterpret_cast<sockaddr*>(&name), size) != 0) return LastError("bind");
  return fd;
}

// Takes away all of a table that the caller has claimed.
Result<void> Clear(RouteSocket& socket, uint32_t table, const std::vector<SourceRule>& rules) {
  auto routes = socket.Routes(table);
  if (!routes.ok()) return routes.error();
  RouteBatch batch;
  for (const LocalRoute& route : routes.value())
    batch.Remove(route);
  for (const SourceRule& rule : rules) {
    if (rule.table == table) batch.Remove(rule);
  }
  return batch.size() == 0 ? Result<void>() : socket.Commit(batch);
}

}  // namespace

Result<void> ClearTheDead(RouteSocket& socket, uint32_t own_table) {
  auto rules = socket.Rules();
  if (!rules.ok()) return rules.error();
  std::vector<uint32_t> tables;
  for (const SourceRule& rule : rules.value()) {
    if (IsOurs(rule.table)) tables.push_back(rule.table);
  }
  std::sort(tables.begin(), tables.end());
  tables.erase(std::unique(tables.begin(), tables.end()), tables.end());
  for (const uint32_t table : tables) {
    const auto claim = Claim(table);
    if (!claim.ok() && table != own_table) continue;
    const auto cleared = Clear(socket, table, rules.value());
    if (!cleared.ok()) return cleared;
  }
  return {};
}

Result<TableClaim> ClaimTable() {
  for (uint32_t table = kFirstTable;; ++table) {
    auto claim = Claim(table);
    if (claim.ok()) return TableClaim{table, std::move(claim.value())};
    if (claim.error().code != -EADDRINUSE || !IsOurs(table + 1)) return claim.error();
  }
}

Result<void> PrepareRoutes() {
  auto socket = RouteSocket::Open();
  if (!socket.ok()) return socket.error();
  // Removals of what is not there: whoever may not add is refused, and so is all of it where the kernel has no rules.
  RouteBatch batch;
  batch.Remove(SourceRule{false, Protocol::kTcp, 1, kFirstTable + kTables});
  batch.Remove(LocalRoute{*Address::Parse("192.0.2.1", 0), {}, kFirstTable + kTables});
  const auto allowed = socket.value().Commit(batch);
  if (!allowed.ok()) return allowed;
  return ClearTheDead(socket.value(), 0);
}

}  // namespace spliceport
