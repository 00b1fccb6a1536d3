#include "docker/host_side.h"

#include <sys/socket.h>

#include <cctype>

#include "base/errno_text.h"
#include "net/socket.h"

namespace spliceport::docker {

namespace {

std::string Endpoint(const Address& address) {
  std::string text = address.Text();
  if (address.is_v6()) text.insert(0, 1, '[').append("]");
  return text + ":" + std::to_string(address.port());
}

const char* NameOf(Protocol protocol) { return protocol == Protocol::kTcp ? "tcp" : "udp"; }

std::string HintFor(int error, const Order& order) {
  switch (-error) {
    case EADDRINUSE:
      return std::string(" (another program has this port: ss -Hnp") +
             (order.protocol == Protocol::kTcp ? "tl" : "ul") +
             " 'sport = :" + std::to_string(order.host.port()) + "' shows which)";
    case EADDRNOTAVAIL:
      return " (this machine does not have this address: ip address shows those that it has)";
    case EACCES:
      return " (ports below net.ipv4.ip_unprivileged_port_start need CAP_NET_BIND_SERVICE)";
    default:
      return "";
  }
}

HostSide Refuse(const std::string& what) {
  return {UniqueFd(), "descriptor 4, which -use-listen-fd announces, " + what +
                          "; dockerd passes it, so start this program by dockerd's "
                          "--userland-proxy-path, or without -use-listen-fd"};
}

bool IsOfProtocol(const SocketFacts& facts, const Order& order) {
  const bool is_tcp = order.protocol == Protocol::kTcp;
  return facts.family == (order.host.is_v6() ? AF_INET6 : AF_INET) &&
         facts.type == (is_tcp ? SOCK_STREAM : SOCK_DGRAM) &&
         facts.protocol == (is_tcp ? IPPROTO_TCP : IPPROTO_UDP);
}

}  // namespace

std::string DescribeError(SysError error) {
  std::string text = ErrnoText(-error.code);
  if (!text.empty()) text[0] = static_cast<char>(std::tolower(text[0]));
  return std::string(error.syscall) + ": " + text;
}

HostSide AdoptListener(const Order& order, int borrowed_fd) {
  auto described = DescribeSocket(borrowed_fd);
  if (!described.ok()) return Refuse("is no socket");
  const SocketFacts& facts = described.value();
  if (!IsOfProtocol(facts, order))
    return Refuse(std::string("is no ") + NameOf(order.protocol) +
                  (order.host.is_v6() ? " socket for IPv6" : " socket for IPv4"));
  if (order.protocol == Protocol::kTcp && !facts.is_listening) return Refuse("does not listen");
  if (facts.is_connected || facts.local.port() == 0) return Refuse("is not bound to a port");
  auto adopted = AdoptHostSocket(order.protocol, borrowed_fd, order.host.is_v6());
  if (!adopted.ok())
    return {UniqueFd(), "descriptor 4 cannot be used: " + DescribeError(adopted.error())};
  return {std::move(adopted.value()), ""};
}

HostSide OpenListener(const Order& order) {
  auto opened = OpenHostSocket(order.protocol, order.host, true);
  if (opened.ok()) return {std::move(opened.value()), ""};
  const SysError error = opened.error();
  return {UniqueFd(), std::string("listen ") + NameOf(order.protocol) +
                          (order.host.is_v6() ? "6 " : "4 ") + Endpoint(order.host) + ": " +
                          DescribeError(error) + HintFor(error.code, order)};
}

}  // namespace spliceport::docker
