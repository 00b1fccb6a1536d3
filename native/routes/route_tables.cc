// Theory of operation
//
//   tables   Several forwarders may serve one namespace at the same time, and must not disturb each
//            other. But what a killed one leaves behind must not stay for ever. So each engine that
//            is active in a namespace claims a table of its own there. Rules with this project's
//            mark that lead to a table which nobody claims were left by a dead process. Whoever
//            gets that claim removes them, with the table's routes. The rules show which tables to
//            look at, because wherever there is such a route there is a rule for its table.
//   claims   A claim must be exclusive, end with its process however that ends, and be out of reach
//            of anyone who may not change routes. Otherwise any program in the container could keep
//            tables from us, as it could with a name or a lock, which anyone in the namespace may
//            take. So a claim is a connection that no packet has made (TCP_REPAIR, which requires
//            CAP_NET_ADMIN), from an address that no host has. The kernel gives the same pair of
//            ends to only one socket. To connect from a foreign address requires CAP_NET_ADMIN or
//            CAP_NET_RAW over the namespace (IP_TRANSPARENT in ip(7)). Anyone may bind to one
//            (IP_FREEBIND), but that does not stop a socket in repair mode. Closing it sends
//            nothing either.
//   numbers  The first free one: the kernel keeps a table, even if empty, as long as the namespace
//            exists.

#include "routes/route_tables.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "net/address.h"
#include "net/socket.h"

namespace spliceport {

namespace {

constexpr uint32_t kFirstTable = 0x7370'0000;
constexpr uint32_t kTables = 1'024;

bool IsOurs(uint32_t table) { return table - kFirstTable < kTables; }

// RFC 7600: for hosts without an address. Nothing is ever sent to it.
constexpr const char* kNobody = "192.0.0.8";
constexpr uint16_t kClaimPort = 0x7370;

// The right to use a table in the calling thread's namespace; EADDRINUSE while another has it.
Result<UniqueFd> Claim(uint32_t table) {
  auto opened = OpenStreamSocket(false);
  if (!opened.ok()) return opened;
  const int fd = opened.value().get();
  const auto foreign = SetOption(fd, IPPROTO_IP, IP_TRANSPARENT, 1);
  if (!foreign.ok()) return foreign.error();
  const auto silent = SetOption(fd, IPPROTO_TCP, TCP_REPAIR, 1);
  if (!silent.ok()) return silent.error();
  const Address nobody = *Address::Parse(kNobody, kClaimPort);
  if (bind(fd, nobody.bytes(), nobody.size()) != 0) return LastError("bind");
  const auto number = static_cast<uint16_t>(table - kFirstTable + 1);
  const auto connected = StartConnect(fd, *Address::Parse("127.0.0.1", number));
  if (connected.ok()) return opened;
  if (connected.error().code == -EADDRNOTAVAIL) return SysError{-EADDRINUSE, "connect"};
  return connected.error();
}

// Removes everything in a table that the caller has claimed.
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

Result<void> RemoveLeftovers(RouteSocket& socket, uint32_t own_table) {
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
  // Removes what does not exist: that fails if the caller may not add either, or if the kernel does
  // not support rules.
  RouteBatch batch;
  batch.Remove(SourceRule{false, Protocol::kTcp, 1, kFirstTable + kTables});
  batch.Remove(LocalRoute{*Address::Parse("192.0.2.1", 0), {}, kFirstTable + kTables});
  const auto allowed = socket.value().Commit(batch);
  if (!allowed.ok()) return allowed;
  auto claim = ClaimTable();
  if (!claim.ok()) return claim.error();
  return RemoveLeftovers(socket.value(), claim.value().table);
}

}  // namespace spliceport
