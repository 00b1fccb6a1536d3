#include "shim/sections.h"

#include <limits>
#include <utility>

namespace spliceport::shim {

namespace {

constexpr int64_t kMicrosPerMilli = 1'000;
constexpr int kMaxWorkers = 1'024;
constexpr size_t kLeastPipeBytes = 4'096;
constexpr size_t kMostPipeBytes = size_t{1} << 30;
constexpr int64_t kMaxSpinMicros = 1'000'000;
// More than the descriptors that a process can have.
constexpr size_t kMaxSockets = size_t{1} << 20;
constexpr int64_t kMaxDrainMillis = int64_t{1} << 40;
constexpr uint32_t kPorts = 65'536;

// An entry for each that a section announces, as long as they are well formed: the number itself
// is not to be trusted.
template <typename Entry, typename Read>
std::vector<Entry> ReadList(Reader& reader, Read read) {
  std::vector<Entry> entries;
  const uint32_t count = reader.U32();
  for (uint32_t i = 0; i < count && reader.ok(); ++i)
    entries.push_back(read(reader));
  return entries;
}

template <typename T>
std::optional<T> IfWhole(const Reader& reader, T value) {
  if (!reader.ok()) return std::nullopt;
  return value;
}

// A value that is none of an enum whose last is `last` makes the reader bad.
template <typename Enum>
Enum ReadEnum(Reader& reader, Enum last) {
  const uint8_t value = reader.U8();
  if (value > static_cast<uint8_t>(last)) reader.Fail();
  return reader.ok() ? static_cast<Enum>(value) : Enum{};
}

// Whether as many successive ports as `count` are ports.
void CheckPorts(Reader& reader, uint32_t first, uint32_t count) {
  if (count == 0 || first + count > kPorts) reader.Fail();
}

int SecondsFrom(uint32_t millis) {
  return static_cast<int>((millis + kMicrosPerMilli - 1) / kMicrosPerMilli);
}

CidrList ReadCidrs(Reader& reader) {
  std::vector<Cidr> blocks;
  const uint32_t count = reader.U32();
  for (uint32_t i = 0; i < count && reader.ok(); ++i) {
    const auto block = Cidr::Parse(reader.Text());
    if (!block) reader.Fail();
    if (block) blocks.push_back(*block);
  }
  return CidrList(blocks);
}

void ReadLimits(Reader& reader, Limits& limits) {
  limits.udp_segmentation = reader.U8() != 0;
  limits.connect_timeout_micros = reader.U32() * kMicrosPerMilli;
  limits.udp_timeout_micros = reader.U32() * kMicrosPerMilli;
  limits.keepalive.idle_seconds = SecondsFrom(reader.U32());
  limits.keepalive.interval_seconds = SecondsFrom(reader.U32());
  limits.keepalive.probes = static_cast<int>(reader.U32());
  limits.max_flows = reader.U32();
  if (limits.max_flows == 0) reader.Fail();
}

void ReadGates(Reader& reader, AddEntry& entry) {
  auto rules = std::make_shared<AdmissionRules>();
  rules->max_sessions = reader.U32();
  rules->max_sessions_per_second = reader.U32();
  const int64_t header_timeout = reader.U32() * kMicrosPerMilli;
  rules->allow = ReadCidrs(reader);
  rules->deny = ReadCidrs(reader);
  CidrList proxies = ReadCidrs(reader);
  if (!proxies.empty()) {
    entry.common.trusted_proxies =
        std::make_shared<const TrustedProxies>(TrustedProxies{std::move(proxies), header_timeout});
  }
  if (!rules->limits_nothing()) entry.rules = std::move(rules);
}

AddEntry ReadAddEntry(Reader& reader) {
  AddEntry entry;
  entry.common.id = reader.I32();
  entry.common.protocol = ReadEnum(reader, Protocol::kUdp);
  entry.common.source_address = ReadEnum(reader, SourceAddress::kProxyV2);
  entry.slot = reader.U32();
  entry.count = reader.U16();
  entry.target = reader.Endpoint();
  ReadLimits(reader, entry.common.limits);
  ReadGates(reader, entry);
  CheckPorts(reader, entry.target.port(), entry.count);
  if (entry.common.id < 0 || entry.common.id > std::numeric_limits<int>::max() - entry.count)
    reader.Fail();
  return entry;
}

RetargetEntry ReadRetargetEntry(Reader& reader) {
  RetargetEntry entry;
  entry.id = reader.I32();
  entry.slot = reader.I32();
  entry.address = reader.Endpoint();
  if (entry.slot < -1) reader.Fail();
  return entry;
}

}  // namespace

std::optional<EngineSection> ReadEngine(Reader& reader) {
  EngineSection section;
  Settings& settings = section.settings;
  settings.workers = reader.I32();
  settings.spin_micros = reader.I64();
  settings.pipe_capacity_bytes = reader.U64();
  settings.near_rtt_micros = reader.U32();
  section.tells_of_ends = reader.U8() != 0;
  const bool is_sound = settings.workers > 0 && settings.workers <= kMaxWorkers &&
                        settings.spin_micros >= 0 && settings.spin_micros <= kMaxSpinMicros &&
                        settings.pipe_capacity_bytes >= kLeastPipeBytes &&
                        settings.pipe_capacity_bytes <= kMostPipeBytes;
  if (!is_sound) reader.Fail();
  return IfWhole(reader, section);
}

std::optional<std::vector<HostSocketRequest>> ReadOpen(Reader& reader) {
  std::vector<HostSocketRequest> requests;
  const uint32_t entries = reader.U32();
  for (uint32_t i = 0; i < entries && reader.ok(); ++i) {
    HostSocketRequest first;
    first.protocol = ReadEnum(reader, Protocol::kUdp);
    first.ipv6_only = reader.U8() != 0;
    const uint16_t count = reader.U16();
    first.address = reader.Endpoint();
    CheckPorts(reader, first.address.port(), count);
    if (requests.size() + count > kMaxSockets) reader.Fail();
    if (reader.ok()) AppendRequests(first, count, requests);
  }
  return IfWhole(reader, std::move(requests));
}

std::optional<std::vector<AddEntry>> ReadAdd(Reader& reader) {
  auto entries = ReadList<AddEntry>(reader, &ReadAddEntry);
  return IfWhole(reader, std::move(entries));
}

std::optional<std::vector<RetargetEntry>> ReadRetarget(Reader& reader) {
  auto entries = ReadList<RetargetEntry>(reader, &ReadRetargetEntry);
  return IfWhole(reader, std::move(entries));
}

std::optional<RemoveSection> ReadRemove(Reader& reader) {
  RemoveSection section;
  const int64_t millis = reader.I64();
  if (millis < 0 || millis > kMaxDrainMillis) reader.Fail();
  section.drain_micros = reader.ok() ? millis * kMicrosPerMilli : 0;
  section.ids = ReadIds(reader).value_or(std::vector<int>());
  return IfWhole(reader, std::move(section));
}

std::optional<std::vector<int>> ReadIds(Reader& reader) {
  auto ids = ReadList<int>(reader, [](Reader& from) { return from.I32(); });
  return IfWhole(reader, std::move(ids));
}

}  // namespace spliceport::shim
