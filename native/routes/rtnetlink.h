// rtnetlink.h: the routing table of one network namespace, as far as transparent forwarding changes
//              it: rules that select a table by protocol and source port, and host routes in such a
//              table.
// Owns:   its netlink socket, which keeps the namespace of the thread that opened it.
// Thread: one at a time.
// Kernel: rtnetlink(7). A request is carried out before sendmsg(2) returns, and its answer waits to
//         be read, so calls wait only for the kernel's own lock. Rules by port need Linux 4.17.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "net/address.h"
#include "net/socket.h"

namespace spliceport {

// Packets from `port` are looked up in `table`.
struct SourceRule {
  bool v6 = false;
  Protocol protocol = Protocol::kTcp;
  uint16_t port = 0;
  uint32_t table = 0;
};

// Packets to the address of `client` are delivered to this namespace itself.
struct LocalRoute {
  Address client;
  // The source address, unless the socket has one; unspecified if only `client` and `table` matter.
  Address source;
  uint32_t table = 0;
};

// Of an interface.
struct InterfaceAddress {
  uint32_t interface = 0;
  Address address;
  // Others can use it: it has passed every check, is meant to last, and is not link-local.
  bool is_for_others = false;
};

// What an interface is joined with; 0: nothing.
struct LinkFacts {
  uint32_t peer = 0;  // The other end of a veth pair. Its number is of the namespace that it is in.
  uint32_t bridge = 0;
};

// Requests to be carried out together, in order.
class RouteBatch {
 public:
  void Add(const SourceRule& rule);
  void Remove(const SourceRule& rule);
  // In place of what the table has for this client.
  void Put(const LocalRoute& route);
  void Remove(const LocalRoute& route);
  size_t size() const { return starts_.size(); }

 private:
  friend class RouteSocket;
  void Begin(uint16_t type, uint16_t flags);
  void Body(const void* body, size_t size);
  void Attribute(uint16_t type, const void* value, size_t size);
  void Number(uint16_t type, uint32_t value) { Attribute(type, &value, sizeof(value)); }
  void IpAddress(uint16_t type, const Address& address);
  void AppendRule(uint16_t type, uint16_t flags, const SourceRule& rule);
  void AppendRoute(uint16_t type, uint16_t flags, const LocalRoute& route);

  std::vector<char> bytes_;
  std::vector<size_t> starts_;
};

// How a namespace would reach an address.
enum class Reach : uint8_t {
  kBeyond,  // By a gateway, by the default route, or not at all.
  kNear,    // On a network that the namespace is on.
  kOwn,     // An address of the namespace itself, or of no host.
};

class RouteSocket {
 public:
  // In the calling thread's namespace.
  static Result<RouteSocket> Open();
  // For a socket that answers as the kernel does.
  explicit RouteSocket(UniqueFd fd);

  // Carries out all requests, also after a failure. Returns the first failure, unless it means that
  // a request changed nothing.
  Result<void> Commit(const RouteBatch& batch);
  Result<Reach> ReachOf(const Address& address);
  // The interface whose network the address is on; 0 if it is on none, or is the namespace's own.
  Result<uint32_t> InterfaceOf(const Address& address);
  Result<LinkFacts> LinkOf(uint32_t interface);
  // Those with this project's mark, of both families.
  Result<std::vector<SourceRule>> Rules();
  // Of both families, without the loopback interface.
  Result<std::vector<InterfaceAddress>> Addresses();
  // Of one table, with this project's mark.
  Result<std::vector<LocalRoute>> Routes(uint32_t table);

 private:
  Result<void> Send(const char* bytes, size_t size);
  // Reads the next messages. Returns their number of bytes.
  Result<size_t> Read();
  template <typename Visit>
  Result<void> Converse(const std::vector<char>& bytes, Visit visit);
  // Sends the one request of a batch. Calls `visit` with its answer, unless that is a failure,
  // which it returns: negative, 0 for none.
  template <typename Visit>
  Result<int> Ask(RouteBatch& batch, Visit visit);
  template <typename Visit>
  Result<int> AskForRoute(const Address& address, Visit visit);
  // False if something changed meanwhile.
  template <typename Visit>
  Result<bool> DumpOnce(bool v6, uint16_t type, Visit visit);
  template <typename Record, typename Parse>
  Result<std::vector<Record>> Dump(bool v6, uint16_t type, Parse parse);
  template <typename Record, typename Parse>
  Result<std::vector<Record>> DumpBoth(uint16_t type, Parse parse);
  Result<void> CommitSome(const RouteBatch& batch, size_t first, size_t count);

  UniqueFd fd_;
  uint32_t sequence_ = 0;
  std::vector<char> answers_;
};

}  // namespace spliceport
