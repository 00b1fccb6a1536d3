#include "shim/plain_config.h"

#include <algorithm>
#include <limits>
#include <span>
#include <tuple>

#include "shim/plain_text.h"

namespace spliceport::shim {

namespace {

// As many as a machine has.
constexpr uint32_t kMaxPorts = 65'535;
constexpr uint32_t kMaxFd = std::numeric_limits<int>::max() / 4;
constexpr std::string_view kLoopback = "127.0.0.1";
constexpr uint32_t kLoopbackNet = 127;

struct Mapping {
  std::string_view host;
  std::string_view protocols;
  uint32_t host_port = 0;
  uint32_t container_port = 0;
  uint32_t count = 0;
};

// The members of an object, each of them once, in any order. `read` gets the name, and says which
// of `members` it has read; a negative number: none that is known and plain.
template <typename Read>
bool ReadMembers(PlainText& text, int members, Read read) {
  if (!text.Take("{")) return false;
  uint32_t seen = 0;
  for (int i = 0; i < members; ++i) {
    if (i > 0 && !text.Take(",")) return false;
    const auto name = text.String();
    if (!name || !text.Take(":")) return false;
    const int member = read(*name);
    if (member < 0 || (seen & (1U << member)) != 0) return false;
    seen |= 1U << member;
  }
  return text.Take("}");
}

int Member(bool is_plain, int number) { return is_plain ? number : -1; }

template <typename T, typename Value>
bool Put(const std::optional<T>& read, Value& value) {
  if (read) value = static_cast<Value>(*read);
  return read.has_value();
}

bool ReadMapping(PlainText& text, Mapping& mapping) {
  return ReadMembers(text, 5, [&](std::string_view name) {
    if (name == "host_ip") return Member(Put(text.String(), mapping.host), 0);
    if (name == "container_port") return Member(Put(text.Number(), mapping.container_port), 1);
    if (name == "host_port") return Member(Put(text.Number(), mapping.host_port), 2);
    if (name == "range") return Member(Put(text.Number(), mapping.count), 3);
    if (name == "protocol") return Member(Put(text.String(), mapping.protocols), 4);
    return -1;
  });
}

bool ReadMappings(PlainText& text, std::vector<Mapping>& mappings) {
  if (!text.Take("[")) return false;
  do {
    if (!ReadMapping(text, mappings.emplace_back())) return false;
  } while (text.Take(","));
  return text.Take("]");
}

bool ReadMember(PlainText& text, std::string_view name, PlainConfig& config,
                std::vector<Mapping>& mappings, int& member) {
  const auto is = [&](std::string_view known, int number) {
    if (name == known) member = number;
    return name == known;
  };
  if (is("Mappings", 0)) return ReadMappings(text, mappings);
  if (is("NetNSPath", 1)) return Put(text.String(), config.netns_path);
  if (is("ExitFD", 2)) return Put(text.Number(), config.exit_fd);
  if (is("ReadyFD", 3)) return Put(text.Number(), config.ready_fd);
  if (is("TmpDir", 4)) return Put(text.String(), config.folder);
  if (is("ChildIP", 5)) return Put(text.String(), config.container_address);
  if (is("ContainerID", 6)) return Put(text.String(), config.container_id);
  return is("RootlessCNI", 7) && Put(text.Truth(), config.wants_reload_socket);
}

// In the form in which everybody writes it; one that stands for another is none.
std::optional<Address> ReadAddress(std::string_view text) {
  const bool is_mixed =
      text.find(':') != std::string_view::npos && text.find('.') != std::string_view::npos;
  if (is_mixed || text.find('%') != std::string_view::npos) return std::nullopt;
  auto address = Address::Parse(std::string(text), 0);
  if (!address || address->Text() != text || address->Unmapped().is_v6() != address->is_v6())
    return std::nullopt;
  return address;
}

bool IsLoopback(const Address& address) {
  return !address.is_v6() && ntohl(address.v4().s_addr) >> 24 == kLoopbackNet;
}

bool AreFirstPorts(uint32_t port, uint32_t count) {
  return port >= 1 && port <= kMaxPorts && count >= 1 && count - 1 <= kMaxPorts - port;
}

std::optional<Protocol> ReadProtocol(std::string_view name) {
  if (name == "tcp") return Protocol::kTcp;
  if (name == "udp") return Protocol::kUdp;
  return std::nullopt;
}

bool AppendRanges(const Mapping& mapping, PlainConfig& config) {
  auto host = ReadAddress(mapping.host.empty() ? "0.0.0.0" : mapping.host);
  if (!host || !AreFirstPorts(mapping.host_port, mapping.count) ||
      !AreFirstPorts(mapping.container_port, mapping.count))
    return false;
  auto target = PlainTarget(config.container_address, *host);
  if (!target) return false;
  PlainRange range;
  range.is_dual_stack = host->is_unspecified();
  range.host = range.is_dual_stack ? *Address::Parse("::", 0) : *host;
  range.host.set_port(static_cast<uint16_t>(mapping.host_port));
  range.target = *target;
  range.target.set_port(static_cast<uint16_t>(mapping.container_port));
  range.count = static_cast<uint16_t>(mapping.count);
  std::string_view rest = mapping.protocols;
  for (bool is_last = false; !is_last;) {
    const size_t comma = rest.find(',');
    is_last = comma == std::string_view::npos;
    const auto protocol = ReadProtocol(rest.substr(0, comma));
    if (!protocol) return false;
    range.protocol = *protocol;
    config.ranges.push_back(range);
    rest.remove_prefix(is_last ? rest.size() : comma + 1);
  }
  return true;
}

// Whether no port is there twice, and there are no more than there can be.
bool AreDistinct(std::span<const PlainRange> ranges) {
  using Place = std::tuple<Protocol, std::string, uint32_t, uint32_t>;
  std::vector<Place> places;
  uint32_t total = 0;
  for (const PlainRange& range : ranges) {
    const uint32_t first = range.host.port();
    places.emplace_back(range.protocol, range.host.Text(), first, first + range.count);
    total += range.count;
    if (total > kMaxPorts) return false;
  }
  std::sort(places.begin(), places.end());
  return std::adjacent_find(places.begin(), places.end(), [](const Place& one, const Place& next) {
           const auto& [protocol, host, first, end] = one;
           return protocol == std::get<0>(next) && host == std::get<1>(next) &&
                  end > std::get<2>(next);
         }) == places.end();
}

// Whether it can name a file.
bool IsPlainName(std::string_view name) {
  return !name.empty() && name.find('/') == std::string_view::npos && name != "." && name != "..";
}

bool IsPlain(const PlainConfig& config) {
  const auto is_fd = [](int fd) { return fd > 0 && static_cast<uint32_t>(fd) < kMaxFd; };
  return is_fd(config.exit_fd) && is_fd(config.ready_fd) && IsPlainPath(config.netns_path) &&
         IsPlainPath(config.folder) && IsPlainName(config.container_id);
}

}  // namespace

bool IsPlainPath(std::string_view path) {
  if (!path.starts_with('/') || path.size() < 2) return false;
  while (!path.empty()) {
    path.remove_prefix(1);
    if (!IsPlainName(path.substr(0, path.find('/')))) return false;
    path.remove_prefix(std::min(path.find('/'), path.size()));
  }
  return true;
}

std::optional<Address> PlainTarget(const std::string& container_address, const Address& host) {
  if (!container_address.empty()) return ReadAddress(container_address);
  if (host.is_unspecified()) return Address::Parse(std::string(kLoopback), 0);
  if (IsLoopback(host)) return host.WithoutPort();
  return std::nullopt;
}

std::optional<PlainConfig> ReadPlainConfig(std::string_view json) {
  PlainText text(json);
  PlainConfig config;
  std::vector<Mapping> mappings;
  const bool is_read = ReadMembers(text, 8, [&](std::string_view name) {
    int member = -1;
    const bool is_plain = ReadMember(text, name, config, mappings, member);
    return Member(is_plain, member);
  });
  if (!is_read || !text.at_end() || !IsPlain(config)) return std::nullopt;
  for (const Mapping& mapping : mappings)
    if (!AppendRanges(mapping, config)) return std::nullopt;
  if (!AreDistinct(config.ranges)) return std::nullopt;
  return config;
}

std::optional<std::string> ReadPlainReload(std::string_view json) {
  PlainText text(json);
  const auto address = text.String();
  if (!address || !text.at_end()) return std::nullopt;
  if (!address->empty() && !ReadAddress(*address)) return std::nullopt;
  return std::string(*address);
}

}  // namespace spliceport::shim
