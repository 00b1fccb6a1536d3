// rtnetlink_messages.h: the format of requests to the kernel and of its answers. Only for the files
//                       of rtnetlink.h.
// Thread: as RouteSocket.
#pragma once

#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "routes/rtnetlink.h"

namespace spliceport {

// Marks what this project has made, as RTA_PROTOCOL and FRA_PROTOCOL. No routing daemon is
// registered with this number.
inline constexpr uint8_t kMark = 115;

// As linux/fib_rules.h has them since 4.17.
inline constexpr uint16_t kRuleProtocol = 21;
inline constexpr uint16_t kRuleIpProtocol = 22;
inline constexpr uint16_t kRuleSourcePorts = 23;
struct PortRange {
  uint16_t first;
  uint16_t last;
};

// lo has it in every namespace.
inline constexpr uint32_t kLoopbackIndex = 1;

inline uint8_t FamilyOf(bool v6) { return v6 ? AF_INET6 : AF_INET; }

// Attributes of a message, by type; later ones win.
template <size_t kTypes>
class Attributes {
 public:
  Attributes(const char* bytes, size_t size) {
    while (size >= sizeof(rtattr)) {
      rtattr head{};
      std::memcpy(&head, bytes, sizeof(head));
      if (head.rta_len < sizeof(head) || head.rta_len > size) return;
      const size_t type = head.rta_type & NLA_TYPE_MASK;
      if (type < kTypes) values_[type] = {bytes + sizeof(head), head.rta_len - sizeof(head)};
      const size_t step = std::min<size_t>(RTA_ALIGN(head.rta_len), size);
      bytes += step;
      size -= step;
    }
  }
  bool Has(size_t type) const { return values_[type].data() != nullptr; }
  // Zero if it is absent or too short.
  template <typename T>
  T Get(size_t type) const {
    T value{};
    if (values_[type].size() >= sizeof(T)) std::memcpy(&value, values_[type].data(), sizeof(T));
    return value;
  }

 private:
  std::span<const char> values_[kTypes];
};
using RouteAttributes = Attributes<RTA_MAX + 1>;
using AddressAttributes = Attributes<IFA_MAX + 1>;
using LinkAttributes = Attributes<IFLA_MASTER + 1>;
using RuleAttributes = Attributes<kRuleSourcePorts + 1>;

// Calls `visit` with each message and its body, until that returns false.
template <typename Visit>
void ForEachMessage(const char* bytes, size_t size, Visit visit) {
  while (size >= sizeof(nlmsghdr)) {
    nlmsghdr head{};
    std::memcpy(&head, bytes, sizeof(head));
    if (head.nlmsg_len < sizeof(head) || head.nlmsg_len > size) return;
    const char* body = bytes + NLMSG_HDRLEN;
    if (!visit(head, body, head.nlmsg_len - NLMSG_HDRLEN)) return;
    const size_t step = std::min<size_t>(NLMSG_ALIGN(head.nlmsg_len), size);
    bytes += step;
    size -= step;
  }
}

inline int ErrorIn(const char* body, size_t size) {
  int32_t error = -EBADMSG;
  if (size >= sizeof(error)) std::memcpy(&error, body, sizeof(error));
  return error;
}

// Sends, and reads answers until `visit` returns false after the last.
template <typename Visit>
Result<void> RouteSocket::Converse(const std::vector<char>& bytes, Visit visit) {
  auto sent = Send(bytes.data(), bytes.size());
  if (!sent.ok()) return sent;
  for (bool more = true; more;) {
    auto read = Read();
    if (!read.ok()) return read.error();
    ForEachMessage(answers_.data(), read.value(),
                   [&](const nlmsghdr& head, const char* body, size_t size) {
                     return more = visit(head, body, size);
                   });
  }
  return {};
}

}  // namespace spliceport
