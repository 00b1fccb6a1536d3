#include "routes/rtnetlink_messages.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "base/linux_compat.h"

namespace spliceport {

namespace {

// Directly after the rule for the kernel's own local table, so that packets reach the live clients'
// routes before any other rule of the namespace.
constexpr uint32_t kRulePriority = 1;
// Requests per sendmsg: their answers, at worst an error for each, fit into the socket's receive
// buffer.
constexpr size_t kMaxPerSend = 128;
constexpr size_t kAnswerBytes = 32 << 10;

uint8_t NumberOf(Protocol protocol) {
  return protocol == Protocol::kTcp ? uint8_t{IPPROTO_TCP} : uint8_t{IPPROTO_UDP};
}

bool WasSoAlready(int error) { return error == -EEXIST || error == -ENOENT || error == -ESRCH; }

}  // namespace

void RouteBatch::Begin(uint16_t type, uint16_t flags) {
  starts_.push_back(bytes_.size());
  nlmsghdr head{};
  head.nlmsg_len = NLMSG_HDRLEN;
  head.nlmsg_type = type;
  head.nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  const auto* begin = reinterpret_cast<const char*>(&head);
  bytes_.insert(bytes_.end(), begin, begin + NLMSG_HDRLEN);
}

// Appends to the last message.
void RouteBatch::Body(const void* body, size_t size) {
  const auto* begin = static_cast<const char*>(body);
  bytes_.insert(bytes_.end(), begin, begin + size);
  bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  const auto length = static_cast<uint32_t>(bytes_.size() - starts_.back());
  std::memcpy(&bytes_[starts_.back()], &length, sizeof(length));
}

void RouteBatch::Attribute(uint16_t type, const void* value, size_t size) {
  const rtattr head{static_cast<uint16_t>(RTA_LENGTH(size)), type};
  const auto* begin = reinterpret_cast<const char*>(&head);
  bytes_.insert(bytes_.end(), begin, begin + sizeof(head));
  Body(value, size);
}

void RouteBatch::IpAddress(uint16_t type, const Address& address) {
  if (address.is_v6()) return Attribute(type, &address.v6(), sizeof(in6_addr));
  Attribute(type, &address.v4(), sizeof(in_addr));
}

void RouteBatch::AppendRule(uint16_t type, uint16_t flags, const SourceRule& rule) {
  Begin(type, flags);
  fib_rule_hdr head{};
  head.family = FamilyOf(rule.v6);
  head.action = FR_ACT_TO_TBL;
  Body(&head, sizeof(head));
  Number(FRA_PRIORITY, kRulePriority);
  Number(FRA_TABLE, rule.table);
  Attribute(kRuleProtocol, &kMark, sizeof(kMark));
  const uint8_t protocol = NumberOf(rule.protocol);
  Attribute(kRuleIpProtocol, &protocol, sizeof(protocol));
  const PortRange ports{rule.port, rule.port};
  Attribute(kRuleSourcePorts, &ports, sizeof(ports));
}

void RouteBatch::AppendRoute(uint16_t type, uint16_t flags, const LocalRoute& route) {
  Begin(type, flags);
  rtmsg head{};
  const bool v6 = route.client.is_v6();
  head.rtm_family = FamilyOf(v6);
  head.rtm_dst_len = v6 ? 128 : 32;
  head.rtm_protocol = kMark;
  head.rtm_type = RTN_LOCAL;
  head.rtm_scope = v6 ? uint8_t{RT_SCOPE_UNIVERSE} : uint8_t{RT_SCOPE_HOST};
  Body(&head, sizeof(head));
  IpAddress(RTA_DST, route.client);
  if (!route.source.is_unspecified()) IpAddress(RTA_PREFSRC, route.source);
  Number(RTA_OIF, kLoopbackIndex);
  Number(RTA_TABLE, route.table);
}

void RouteBatch::Add(const SourceRule& rule) {
  AppendRule(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, rule);
}

void RouteBatch::Remove(const SourceRule& rule) { AppendRule(RTM_DELRULE, 0, rule); }

void RouteBatch::Put(const LocalRoute& route) {
  AppendRoute(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, route);
}

void RouteBatch::Remove(const LocalRoute& route) { AppendRoute(RTM_DELROUTE, 0, route); }

RouteSocket::RouteSocket(UniqueFd fd) : fd_(std::move(fd)), answers_(kAnswerBytes) {}

Result<RouteSocket> RouteSocket::Open() {
  UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!fd.valid()) return LastError("socket");
  const int on = 1;
  // Short error messages, and dumps of only the requested table. Without them everything works the
  // same, at a higher cost.
  (void)setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
  return RouteSocket(std::move(fd));
}

Result<void> RouteSocket::Send(const char* bytes, size_t size) {
  for (;;) {
    // Without an address it goes to the kernel.
    if (send(fd_.get(), bytes, size, 0) >= 0) return {};
    if (errno != EINTR) return LastError("send");
  }
}

Result<size_t> RouteSocket::Read() {
  for (;;) {
    sockaddr_nl sender{};
    socklen_t size = sizeof(sender);
    const ssize_t count = recvfrom(fd_.get(), answers_.data(), answers_.size(), 0,
                                   reinterpret_cast<sockaddr*>(&sender), &size);
    if (count < 0 && errno != EINTR) return LastError("recvfrom");
    // The namespace's administrator can send here too; the kernel has port 0.
    if (count >= 0 && sender.nl_pid == 0) return static_cast<size_t>(count);
  }
}

Result<void> RouteSocket::Commit(const RouteBatch& batch) {
  Result<void> outcome;
  for (size_t first = 0; first < batch.size(); first += kMaxPerSend) {
    const size_t count = std::min(kMaxPerSend, batch.size() - first);
    const auto committed = CommitSome(batch, first, count);
    if (outcome.ok()) outcome = committed;
  }
  return outcome;
}

// The last request is always acknowledged, so that its answer comes last. The others are answered
// if they fail.
Result<void> RouteSocket::CommitSome(const RouteBatch& batch, size_t first, size_t count) {
  const size_t begin = batch.starts_[first];
  const size_t end =
      first + count < batch.size() ? batch.starts_[first + count] : batch.bytes_.size();
  std::vector<char> bytes(batch.bytes_.begin() + static_cast<ptrdiff_t>(begin),
                          batch.bytes_.begin() + static_cast<ptrdiff_t>(end));
  const uint32_t before = sequence_;
  for (size_t i = first; i < first + count; ++i) {
    nlmsghdr head{};
    char* place = &bytes[batch.starts_[i] - begin];
    std::memcpy(&head, place, sizeof(head));
    head.nlmsg_seq = ++sequence_;
    if (i + 1 == first + count) head.nlmsg_flags |= NLM_F_ACK;
    std::memcpy(place, &head, sizeof(head));
  }
  Result<void> outcome;
  const auto answered = Converse(bytes, [&](const nlmsghdr& head, const char* body, size_t size) {
    // Answers to an earlier request that failed halfway may come here.
    if (head.nlmsg_type != NLMSG_ERROR || head.nlmsg_seq - before - 1 >= count) return true;
    const int error = ErrorIn(body, size);
    if (error != 0 && !WasSoAlready(error) && outcome.ok()) outcome = SysError{error, "rtnetlink"};
    return head.nlmsg_seq != sequence_;
  });
  return answered.ok() ? outcome : answered;
}

}  // namespace spliceport
