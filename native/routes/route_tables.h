// route_tables.h: which routing table of a namespace belongs to which forwarder. Forwarders do not
//                 know of each other.
// Owns:   a claim owns the socket that represents it.
// Thread: any; acts on the calling thread's namespace.
// Kernel: the table stands for a port that the claim's socket is bound to; route_tables.cc explains
//         how.
#pragma once

#include <cstdint>

#include "routes/rtnetlink.h"

namespace spliceport {

// The right to use a table, as long as it exists.
struct TableClaim {
  uint32_t table = 0;
  UniqueFd socket;
};

// EADDRINUSE if all tables are in use.
Result<TableClaim> ClaimTable();

// Removes what dead processes have left, also in the table that the caller has claimed.
Result<void> RemoveLeftovers(RouteSocket& socket, uint32_t own_table);

// Whether a table can be claimed, and routes and rules can be made. Removes what dead processes
// have left.
Result<void> PrepareRoutes();

}  // namespace spliceport
