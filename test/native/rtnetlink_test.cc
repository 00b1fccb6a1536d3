#include "rtnetlink.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>

#include "support.h"

namespace spliceport {

namespace {

constexpr uint32_t kTable = 0x7370'03f0;

Address At(const char* text) { return *Address::Parse(text, 0); }

// Runs `body` with a socket in a namespace of its own.
void WithSocket(const std::function<void(RouteSocket&)>& body) {
  const UniqueFd netns = NewNamespace();
  std::optional<RouteSocket> socket;
  InNamespace(netns.get(), [&] {
    auto opened = RouteSocket::Open();
    if (opened.ok()) socket = std::move(opened.value());
  });
  REQUIRE(socket.has_value());
  body(*socket);
}

}  // namespace

TEST_CASE("rules and routes of both families are made, read back and taken away") {
  WithSocket([](RouteSocket& socket) {
    const SourceRule rules[] = {{false, Protocol::kTcp, 80, kTable},
                                {true, Protocol::kUdp, 53, kTable}};
    const LocalRoute routes[] = {{At("192.0.2.1"), At("127.0.0.1"), kTable},
                                 {At("2001:db8::1"), At("::1"), kTable}};
    RouteBatch adding;
    for (const SourceRule& rule : rules)
      adding.Add(rule);
    for (const LocalRoute& route : routes)
      adding.Put(route);
    REQUIRE(socket.Commit(adding).ok());
    const auto found_rules = socket.Rules().value();
    REQUIRE(found_rules.size() == 2);
    for (size_t i = 0; i < 2; ++i) {
      CHECK(found_rules[i].v6 == rules[i].v6);
      CHECK(found_rules[i].protocol == rules[i].protocol);
      CHECK(found_rules[i].port == rules[i].port);
      CHECK(found_rules[i].table == kTable);
    }
    const auto found_routes = socket.Routes(kTable).value();
    REQUIRE(found_routes.size() == 2);
    for (size_t i = 0; i < 2; ++i) {
      CHECK(found_routes[i].client == routes[i].client);
      CHECK(found_routes[i].source == routes[i].source);
    }
    CHECK(socket.Routes(kTable + 1).value().empty());
    RouteBatch removing;
    for (const LocalRoute& route : routes)
      removing.Remove(LocalRoute{route.client, {}, kTable});
    for (const SourceRule& rule : rules)
      removing.Remove(rule);
    CHECK(socket.Commit(removing).ok());
    CHECK(socket.Rules().value().empty());
    CHECK(socket.Routes(kTable).value().empty());
  });
}

TEST_CASE("what is so already is no failure, and a route's source can be changed") {
  WithSocket([](RouteSocket& socket) {
    RouteBatch batch;
    batch.Add(SourceRule{false, Protocol::kTcp, 80, kTable});
    batch.Put({At("192.0.2.1"), At("127.0.0.1"), kTable});
    CHECK(socket.Commit(batch).ok());
    CHECK(socket.Commit(batch).ok());
    RouteBatch change;
    change.Put({At("192.0.2.1"), At("127.0.0.2"), kTable});
    CHECK(socket.Commit(change).ok());
    CHECK(socket.Rules().value().size() == 1);
    const auto routes = socket.Routes(kTable).value();
    REQUIRE(routes.size() == 1);
    CHECK(routes[0].source == At("127.0.0.2"));
    RouteBatch removing;
    removing.Remove(LocalRoute{At("192.0.2.1"), {}, kTable});
    removing.Remove(SourceRule{false, Protocol::kTcp, 80, kTable});
    CHECK(socket.Commit(removing).ok());
    CHECK(socket.Commit(removing).ok());
  });
}

TEST_CASE("of a batch that fails in part the rest is carried out, and the failure told") {
  WithSocket([](RouteSocket& socket) {
    RouteBatch batch;
    batch.Put({At("192.0.2.1"), At("127.0.0.1"), kTable});
    // No address of the namespace.
    batch.Put({At("192.0.2.2"), At("203.0.113.1"), kTable});
    batch.Put({At("192.0.2.3"), At("127.0.0.1"), kTable});
    const auto committed = socket.Commit(batch);
    CHECK(committed.error().code == -EINVAL);
    CHECK(socket.Routes(kTable).value().size() == 2);
  });
}

TEST_CASE("batches are of any size") {
  WithSocket([](RouteSocket& socket) {
    constexpr int kRoutes = 1'000;
    RouteBatch adding;
    RouteBatch removing;
    for (int i = 0; i < kRoutes; ++i) {
      const std::string client =
          "198.18." + std::to_string(i / 256) + "." + std::to_string(i % 256);
      adding.Put({At(client.c_str()), At("127.0.0.1"), kTable});
      removing.Remove(LocalRoute{At(client.c_str()), {}, kTable});
    }
    CHECK(socket.Commit(adding).ok());
    CHECK(socket.Routes(kTable).value().size() == kRoutes);
    CHECK(socket.Commit(removing).ok());
    CHECK(socket.Routes(kTable).value().empty());
    // Errors of a whole batch fit as well.
    CHECK(socket.Commit(removing).ok());
  });
}

TEST_CASE("an address is its own, near, or beyond") {
  WithSocket([](RouteSocket& socket) {
    CHECK(socket.ReachOf(At("127.0.0.1")).value() == Reach::kOwn);
    CHECK(socket.ReachOf(At("::1")).value() == Reach::kOwn);
    CHECK(socket.ReachOf(At("224.0.0.1")).value() != Reach::kNear);
    CHECK(socket.ReachOf(At("192.0.2.1")).value() == Reach::kBeyond);
    CHECK(socket.ReachOf(At("2001:db8::1")).value() == Reach::kBeyond);
  });
}

}  // namespace spliceport
