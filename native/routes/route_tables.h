// route_tables.h: which routing table of a namespace is whose, among forwarders that know nothing of each other.
// Owns:   a claim owns the socket that stands for it.
// Kernel: everything acts on the calling thread's namespace. How it works: route_tables.cc.
#pragma once

#include <cstdint>

#include "routes/rtnetlink.h"

namespace spliceport {

// The right to use a table, for as long as it lives.
struct TableClaim {
  uint32_t table = 0;
  UniqueFd socket;
};

// EADDRINUSE when all tables are taken.
Result<TableClaim> ClaimTable();

// Takes away what dead processes have left, also in the table that the caller has claimed.
Result<void> ClearTheDead(RouteSocket& socket, uint32_t own_table);

// Whether routes and rules can be made, and a table be had. Takes away what dead processes have left.
Result<void> PrepareRoutes();

}  // namespace spliceport
