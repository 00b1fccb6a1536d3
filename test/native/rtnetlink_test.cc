#include "routes/rtnetlink.h"

#include <doctest/doctest.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "support/support.h"

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

// A message of the kernel's, whole.
std::string Message(uint16_t type, uint16_t flags, uint32_t sequence, const std::string& body) {
  nlmsghdr head{};
  head.nlmsg_len = static_cast<uint32_t>(NLMSG_HDRLEN + body.size());
  head.nlmsg_type = type;
  head.nlmsg_flags = flags;
  head.nlmsg_seq = sequence;
  return std::string(reinterpret_cast<const char*>(&head), sizeof(head)) + body;
}

std::string Outcome(uint16_t type, uint16_t flags, uint32_t sequence, int32_t error) {
  nlmsgerr body{};
  body.error = error;
  return Message(type, flags, sequence,
                 std::string(reinterpret_cast<const char*>(&body), sizeof(body)));
}

std::string Done(uint16_t flags, uint32_t sequence, int32_t error = 0) {
  return Outcome(NLMSG_DONE, static_cast<uint16_t>(NLM_F_MULTI | flags), sequence, error);
}

// This project's, for `kTable`.
std::string Rule(uint16_t flags, uint32_t sequence) {
  struct {
    fib_rule_hdr head{};
    rtattr table_head{RTA_LENGTH(sizeof(uint32_t)), FRA_TABLE};
    uint32_t table = kTable;
    rtattr mark_head{RTA_LENGTH(sizeof(uint8_t)), 21};  // FRA_PROTOCOL
    uint32_t mark = 115;
  } body;
  static_assert(sizeof(body) == 28);
  return Message(RTM_NEWRULE, static_cast<uint16_t>(NLM_F_MULTI | flags), sequence,
                 std::string(reinterpret_cast<const char*>(&body), sizeof(body)));
}

// Of IPv4.
std::string InterfaceAddressMessage(uint32_t interface, const char* address, uint8_t scope,
                                    uint8_t flags) {
  struct {
    ifaddrmsg head{AF_INET, 24};
    rtattr peer_head{RTA_LENGTH(sizeof(in_addr)), IFA_ADDRESS};
    in_addr peer{};
    rtattr own_head{RTA_LENGTH(sizeof(in_addr)), IFA_LOCAL};
    in_addr own{};
  } body;
  static_assert(sizeof(body) == 24);
  body.head.ifa_index = interface;
  body.head.ifa_scope = scope;
  body.head.ifa_flags = flags;
  body.own = At(address).v4();
  return Message(RTM_NEWADDR, NLM_F_MULTI, 1,
                 std::string(reinterpret_cast<const char*>(&body), sizeof(body)));
}

// The test's end of a RouteSocket whose kernel it plays: what it is going to answer waits there
// beforehand.
class PlayedKernel {
 public:
  PlayedKernel() {
    int fds[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    kernel_ = UniqueFd(fds[0]);
    socket_.emplace(UniqueFd(fds[1]));
  }
  void Answer(const std::string& bytes) const {
    REQUIRE(send(kernel_.get(), bytes.data(), bytes.size(), 0) ==
            static_cast<ssize_t>(bytes.size()));
  }
  RouteSocket& socket() { return *socket_; }

 private:
  UniqueFd kernel_;
  std::optional<RouteSocket> socket_;
};

RouteBatch OneRule() {
  RouteBatch batch;
  batch.Add(SourceRule{false, Protocol::kTcp, 80, kTable});
  return batch;
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

TEST_CASE("an address that is to come or to go, or is of one link alone, is not for others") {
  PlayedKernel kernel;
  kernel.Answer(InterfaceAddressMessage(1, "192.0.2.1", RT_SCOPE_UNIVERSE, 0) +
                InterfaceAddressMessage(2, "192.0.2.2", RT_SCOPE_UNIVERSE, 0) +
                InterfaceAddressMessage(2, "192.0.2.3", RT_SCOPE_LINK, 0) +
                InterfaceAddressMessage(2, "192.0.2.4", RT_SCOPE_UNIVERSE, IFA_F_TENTATIVE) +
                InterfaceAddressMessage(2, "192.0.2.5", RT_SCOPE_UNIVERSE, IFA_F_DEPRECATED) +
                Done(0, 1));
  kernel.Answer(Done(0, 2));
  const auto addresses = kernel.socket().Addresses().value();
  // The loopback's is no address for this.
  REQUIRE(addresses.size() == 4);
  CHECK(addresses[0].interface == 2);
  CHECK(addresses[0].address == At("192.0.2.2"));
  CHECK(addresses[0].is_for_others);
  for (size_t i = 1; i < addresses.size(); ++i)
    CHECK_FALSE(addresses[i].is_for_others);
}

TEST_CASE("a list that ends with an error is not taken for a whole one") {
  PlayedKernel kernel;
  kernel.Answer(Rule(0, 1) + Done(0, 1, -ENOMEM));
  CHECK(kernel.socket().Rules().error().code == -ENOMEM);
}

TEST_CASE("a list that changed while it was read is read again") {
  PlayedKernel kernel;
  SUBCASE("as its last message says") { kernel.Answer(Rule(0, 1) + Done(NLM_F_DUMP_INTR, 1)); }
  SUBCASE("as one on the way says") { kernel.Answer(Rule(NLM_F_DUMP_INTR, 1) + Done(0, 1)); }
  kernel.Answer(Rule(0, 2) + Rule(0, 2) + Done(0, 2));
  kernel.Answer(Done(0, 3));
  CHECK(kernel.socket().Rules().value().size() == 2);
}

TEST_CASE("a list that changes all the time is an error in the end") {
  PlayedKernel kernel;
  for (uint32_t sequence = 1; sequence <= 8; ++sequence)
    kernel.Answer(Rule(0, sequence) + Done(NLM_F_DUMP_INTR, sequence));
  CHECK(kernel.socket().Rules().error().code == -EAGAIN);
}

TEST_CASE("what was not read of an earlier question answers no later one") {
  PlayedKernel kernel;
  REQUIRE_FALSE(kernel.socket().Commit(OneRule()).ok());
  SUBCASE("a batch") {
    kernel.Answer(Outcome(NLMSG_ERROR, 0, 1, -EPERM) + Outcome(NLMSG_ERROR, 0, 2, 0));
    CHECK(kernel.socket().Commit(OneRule()).ok());
  }
  SUBCASE("a list") {
    kernel.Answer(Rule(0, 1) + Done(0, 1));
    kernel.Answer(Rule(0, 2) + Done(0, 2));
    kernel.Answer(Done(0, 3));
    CHECK(kernel.socket().Rules().value().size() == 1);
  }
  SUBCASE("a way") {
    kernel.Answer(Outcome(NLMSG_ERROR, 0, 1, -EPERM) + Outcome(NLMSG_ERROR, 0, 2, -ENETUNREACH));
    CHECK(kernel.socket().ReachOf(At("192.0.2.1")).value() == Reach::kBeyond);
  }
}

TEST_CASE("what another process writes to the socket is no answer") {
  const UniqueFd netns = NewNamespace();
  Result<void> committed = SysError{-EIO, "no socket"};
  InNamespace(netns.get(), [&] {
    UniqueFd own(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
    const UniqueFd other(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    socklen_t size = sizeof(address);
    REQUIRE(bind(own.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(getsockname(own.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    const std::string forged = Outcome(NLMSG_ERROR, 0, 1, -EPERM);
    REQUIRE(sendto(other.get(), forged.data(), forged.size(), 0,
                   reinterpret_cast<sockaddr*>(&address), size) > 0);
    committed = RouteSocket(std::move(own)).Commit(OneRule());
  });
  CHECK(committed.ok());
}

}  // namespace spliceport
