#include "routes/route_tables.h"

#include <doctest/doctest.h>

#include <vector>

#include "support/squatter.h"
#include "support/support.h"

namespace spliceport {

namespace {

constexpr uint32_t kFirstTable = 0x7370'0000;
constexpr int kTables = 1'024;

// What a forwarder leaves that is killed.
void LeaveInFirstTable(RouteSocket& socket) {
  RouteBatch left;
  left.Put({*Address::Parse("192.0.2.9", 0), *Address::Parse("127.0.0.1", 0), kFirstTable});
  left.Add(SourceRule{false, Protocol::kTcp, 80, kFirstTable});
  REQUIRE(socket.Commit(left).ok());
}

size_t RulesIn(RouteSocket& socket) { return socket.Rules().value().size(); }

void InOwnNamespace(const std::function<void(int, RouteSocket&)>& body) {
  const UniqueFd netns = NewNamespace();
  InNamespace(netns.get(), [&] {
    auto socket = RouteSocket::Open();
    REQUIRE(socket.ok());
    body(netns.get(), socket.value());
  });
}

}  // namespace

TEST_CASE("a table has one owner, until that lets go of it") {
  InOwnNamespace([](int, RouteSocket& socket) {
    {
      auto one = ClaimTable();
      auto other = ClaimTable();
      REQUIRE(one.ok());
      REQUIRE(other.ok());
      CHECK(one.value().table == kFirstTable);
      CHECK(other.value().table == kFirstTable + 1);
      CHECK(SourceOf(one.value().socket) == *Address::Parse("192.0.0.8", 29'552));
      LeaveInFirstTable(socket);
      REQUIRE(RemoveLeftovers(socket, other.value().table).ok());
      CHECK(RulesIn(socket) == 1);
      CHECK(socket.Routes(kFirstTable).value().size() == 1);
    }
    auto next = ClaimTable();
    REQUIRE(next.ok());
    CHECK(next.value().table == kFirstTable);
    REQUIRE(RemoveLeftovers(socket, kFirstTable).ok());
    CHECK(RulesIn(socket) == 0);
  });
}

TEST_CASE("namespaces have tables of their own") {
  InOwnNamespace([](int, RouteSocket&) {
    auto here = ClaimTable();
    REQUIRE(here.ok());
    InOwnNamespace([](int, RouteSocket&) {
      auto there = ClaimTable();
      REQUIRE(there.ok());
      CHECK(there.value().table == kFirstTable);
    });
  });
}

TEST_CASE("a process without capabilities keeps no table from a forwarder") {
  InOwnNamespace([](int netns, RouteSocket&) {
    const Squatter squatter(netns);
    CHECK(squatter.claims() == 0);
    auto claim = ClaimTable();
    REQUIRE(claim.ok());
    CHECK(claim.value().table == kFirstTable);
    CHECK(PrepareRoutes().ok());
  });
}

TEST_CASE("a process without capabilities does not keep what the dead have left") {
  InOwnNamespace([](int netns, RouteSocket& socket) {
    LeaveInFirstTable(socket);
    const Squatter squatter(netns);
    REQUIRE(RemoveLeftovers(socket, kFirstTable + 1).ok());
    CHECK(RulesIn(socket) == 0);
    CHECK(socket.Routes(kFirstTable).value().empty());
  });
}

TEST_CASE("where all tables are taken, a forwarder is told so when it prepares") {
  InOwnNamespace([](int, RouteSocket&) {
    std::vector<TableClaim> claims;
    for (int i = 0; i < kTables; ++i) {
      auto claim = ClaimTable();
      REQUIRE(claim.ok());
      claims.push_back(std::move(claim.value()));
    }
    CHECK(ClaimTable().error().code == -EADDRINUSE);
    CHECK(PrepareRoutes().error().code == -EADDRINUSE);
    claims.pop_back();
    CHECK(PrepareRoutes().ok());
  });
}

}  // namespace spliceport
