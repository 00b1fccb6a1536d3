#include <sys/socket.h>

#include <optional>
#include <utility>

#include "routes/rtnetlink_messages.h"

namespace spliceport {

namespace {

// If rules or routes change all the time, the caller can try again later.
constexpr int kMaxDumps = 8;
static_assert(sizeof(rtmsg) == sizeof(fib_rule_hdr));

template <size_t kTypes>
Address AddressFrom(bool v6, const Attributes<kTypes>& attributes, size_t type) {
  sockaddr_storage bytes{};
  if (v6) {
    auto& v6_bytes = reinterpret_cast<sockaddr_in6&>(bytes);
    v6_bytes.sin6_family = AF_INET6;
    v6_bytes.sin6_addr = attributes.template Get<in6_addr>(type);
  } else {
    auto& v4_bytes = reinterpret_cast<sockaddr_in&>(bytes);
    v4_bytes.sin_family = AF_INET;
    v4_bytes.sin_addr = attributes.template Get<in_addr>(type);
  }
  return Address::FromKernel(bytes);
}

}  // namespace

template <typename Visit>
Result<bool> RouteSocket::DumpOnce(bool v6, uint16_t type, Visit visit) {
  RouteBatch batch;
  batch.Begin(type, NLM_F_DUMP);
  // rtmsg and fib_rule_hdr have the same size, and the family in the same place.
  rtmsg question{};
  question.rtm_family = FamilyOf(v6);
  batch.Body(&question, sizeof(question));
  reinterpret_cast<nlmsghdr*>(batch.bytes_.data())->nlmsg_seq = ++sequence_;
  bool whole = true;
  int error = 0;
  const auto answered =
      Converse(batch.bytes_, [&](const nlmsghdr& head, const char* body, size_t size) {
        if (head.nlmsg_seq != sequence_) return true;
        if ((head.nlmsg_flags & NLM_F_DUMP_INTR) != 0) whole = false;
        if (head.nlmsg_type == NLMSG_DONE || head.nlmsg_type == NLMSG_ERROR) {
          error = ErrorIn(body, size);
          return false;
        }
        if (size >= sizeof(rtmsg)) visit(body, size);
        return true;
      });
  if (!answered.ok()) return answered.error();
  if (error != 0) return SysError{error, "rtnetlink"};
  return whole;
}

// Entries that change during a dump may be listed twice or not at all. The kernel reports that, and
// the dump is repeated.
template <typename Record, typename Parse>
Result<std::vector<Record>> RouteSocket::Dump(bool v6, uint16_t type, Parse parse) {
  for (int attempt = 0; attempt < kMaxDumps; ++attempt) {
    std::vector<Record> records;
    auto whole = DumpOnce(v6, type, [&](const char* body, size_t size) {
      std::optional<Record> record = parse(body, size);
      if (record) records.push_back(std::move(*record));
    });
    if (!whole.ok()) return whole.error();
    if (whole.value()) return records;
  }
  return SysError{-EAGAIN, "rtnetlink"};
}

// Of both families. A kernel without IPv6 lists none of that.
template <typename Record, typename Parse>
Result<std::vector<Record>> RouteSocket::DumpBoth(uint16_t type, Parse parse) {
  auto all = Dump<Record>(false, type,
                          [&](const char* body, size_t size) { return parse(false, body, size); });
  if (!all.ok()) return all;
  auto v6 = Dump<Record>(true, type,
                         [&](const char* body, size_t size) { return parse(true, body, size); });
  if (!v6.ok() && v6.error().code != -EOPNOTSUPP) return v6;
  if (v6.ok()) all.value().insert(all.value().end(), v6.value().begin(), v6.value().end());
  return all;
}

Result<std::vector<SourceRule>> RouteSocket::Rules() {
  return DumpBoth<SourceRule>(
      RTM_GETRULE, [](bool v6, const char* body, size_t size) -> std::optional<SourceRule> {
        const size_t skip = NLMSG_ALIGN(sizeof(fib_rule_hdr));
        const RuleAttributes attributes(body + skip, size - skip);
        if (attributes.Get<uint8_t>(kRuleProtocol) != kMark) return std::nullopt;
        const auto protocol = attributes.Get<uint8_t>(kRuleIpProtocol);
        return SourceRule{v6, protocol == IPPROTO_UDP ? Protocol::kUdp : Protocol::kTcp,
                          attributes.Get<PortRange>(kRuleSourcePorts).first,
                          attributes.Get<uint32_t>(FRA_TABLE)};
      });
}

Result<std::vector<InterfaceAddress>> RouteSocket::Addresses() {
  return DumpBoth<InterfaceAddress>(
      RTM_GETADDR, [](bool v6, const char* body, size_t size) -> std::optional<InterfaceAddress> {
        ifaddrmsg head{};
        std::memcpy(&head, body, sizeof(head));
        if (head.ifa_index == kLoopbackIndex) return std::nullopt;
        const size_t skip = NLMSG_ALIGN(sizeof(head));
        const AddressAttributes attributes(body + skip, size - skip);
        constexpr uint8_t kNotYetOrNotLong =
            IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED | IFA_F_TEMPORARY;
        // On a point-to-point link, IFA_ADDRESS is the address of the peer.
        const size_t type = attributes.Has(IFA_LOCAL) ? IFA_LOCAL : IFA_ADDRESS;
        return InterfaceAddress{
            head.ifa_index, AddressFrom(v6, attributes, type),
            head.ifa_scope == RT_SCOPE_UNIVERSE && (head.ifa_flags & kNotYetOrNotLong) == 0};
      });
}

Result<std::vector<LocalRoute>> RouteSocket::Routes(uint32_t table) {
  return DumpBoth<LocalRoute>(
      RTM_GETROUTE, [table](bool v6, const char* body, size_t size) -> std::optional<LocalRoute> {
        rtmsg head{};
        std::memcpy(&head, body, sizeof(head));
        const size_t skip = NLMSG_ALIGN(sizeof(head));
        const RouteAttributes attributes(body + skip, size - skip);
        if (head.rtm_protocol != kMark || attributes.Get<uint32_t>(RTA_TABLE) != table)
          return std::nullopt;
        return LocalRoute{AddressFrom(v6, attributes, RTA_DST),
                          AddressFrom(v6, attributes, RTA_PREFSRC), table};
      });
}

}  // namespace spliceport
