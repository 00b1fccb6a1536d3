// The questions of a RouteSocket that have one answer.

#include "routes/rtnetlink_messages.h"

namespace spliceport {

namespace {

Reach ReachFrom(const rtmsg& route, const RouteAttributes& attributes) {
  switch (route.rtm_type) {
    case RTN_LOCAL:
    case RTN_BROADCAST:
    case RTN_ANYCAST:
    case RTN_MULTICAST:
      return Reach::kOwn;
    case RTN_UNICAST:
      break;
    default:
      return Reach::kBeyond;
  }
  // A default route without a gateway belongs to a tunnel.
  const bool has_gateway = attributes.Has(RTA_GATEWAY) || attributes.Has(RTA_VIA) ||
                           attributes.Has(RTA_MULTIPATH) || attributes.Has(RTA_NH_ID);
  return has_gateway || route.rtm_dst_len == 0 ? Reach::kBeyond : Reach::kNear;
}

bool HasNoWay(int error) {
  return error == -ENETUNREACH || error == -EHOSTUNREACH || error == -EACCES || error == -EINVAL ||
         error == -ESRCH;
}

}  // namespace

template <typename Visit>
Result<int> RouteSocket::Ask(RouteBatch& batch, Visit visit) {
  auto& sequence = reinterpret_cast<nlmsghdr*>(batch.bytes_.data())->nlmsg_seq;
  sequence = ++sequence_;
  int failure = 0;
  const auto answered =
      Converse(batch.bytes_, [&](const nlmsghdr& head, const char* body, size_t size) {
        if (head.nlmsg_seq != sequence_) return true;
        if (head.nlmsg_type == NLMSG_ERROR)
          failure = ErrorIn(body, size);
        else
          visit(body, size);
        return false;
      });
  if (!answered.ok()) return answered.error();
  return failure;
}

template <typename Visit>
Result<int> RouteSocket::AskForRoute(const Address& address, Visit visit) {
  RouteBatch batch;
  batch.Begin(RTM_GETROUTE, 0);
  rtmsg question{};
  question.rtm_family = FamilyOf(address.is_v6());
  question.rtm_dst_len = address.is_v6() ? 128 : 32;
  question.rtm_flags = RTM_F_FIB_MATCH;
  batch.Body(&question, sizeof(question));
  batch.IpAddress(RTA_DST, address);
  return Ask(batch, [&](const char* body, size_t size) {
    if (size < sizeof(rtmsg)) return;
    rtmsg route{};
    std::memcpy(&route, body, sizeof(route));
    const size_t skip = NLMSG_ALIGN(sizeof(route));
    visit(route, RouteAttributes(body + skip, size - skip));
  });
}

Result<Reach> RouteSocket::ReachOf(const Address& address) {
  Reach reach = Reach::kBeyond;
  auto failure = AskForRoute(address, [&](const rtmsg& route, const RouteAttributes& attributes) {
    reach = ReachFrom(route, attributes);
  });
  if (!failure.ok()) return failure.error();
  if (failure.value() != 0 && !HasNoWay(failure.value()))
    return SysError{failure.value(), "rtnetlink"};
  return reach;
}

Result<uint32_t> RouteSocket::InterfaceOf(const Address& address) {
  uint32_t interface = 0;
  auto failure = AskForRoute(address, [&](const rtmsg& route, const RouteAttributes& attributes) {
    if (ReachFrom(route, attributes) == Reach::kNear) interface = attributes.Get<uint32_t>(RTA_OIF);
  });
  if (!failure.ok()) return failure.error();
  return interface;
}

Result<LinkFacts> RouteSocket::LinkOf(uint32_t interface) {
  RouteBatch batch;
  batch.Begin(RTM_GETLINK, 0);
  ifinfomsg question{};
  question.ifi_index = static_cast<int>(interface);
  batch.Body(&question, sizeof(question));
  LinkFacts facts;
  auto failure = Ask(batch, [&](const char* body, size_t size) {
    const size_t skip = NLMSG_ALIGN(sizeof(ifinfomsg));
    if (size < skip) return;
    const LinkAttributes attributes(body + skip, size - skip);
    facts = {attributes.Get<uint32_t>(IFLA_LINK), attributes.Get<uint32_t>(IFLA_MASTER)};
  });
  if (!failure.ok()) return failure.error();
  if (failure.value() != 0) return SysError{failure.value(), "rtnetlink"};
  return facts;
}

}  // namespace spliceport
