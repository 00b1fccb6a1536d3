#include "shim/sections.h"

#include <limits>
#include <utility>

namespace spliceport::shim {

namespace {

constexpr int64_t kMicrosPerMilli = 1'000;
constexpr uint32_t kMaxWorkers = 1'024;
constexpr uint64_t kMinPipeBytes = 4'096;
constexpr uint64_t kMaxPipeBytes = uint64_t{1} << 30;
constexpr uint64_t kMaxSpinMicros = 1'000'000;
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

// A setting of each type.
void Read(Reader& reader, uint32_t& value) { value = reader.U32(); }
void Read(Reader& reader, uint64_t& value) { value = reader.U64(); }
void Read(Reader& reader, bool& value) { value = reader.U8() != 0; }
void Read(Reader& reader, CidrList& value) { value = ReadCidrs(reader); }

// For settings that an older resident does not send: they keep their defaults.
auto IfThere(Reader& reader) {
  return [&reader](const char* /*name*/, auto& value) {
    if (!reader.at_end()) Read(reader, value);
  };
}

AddEntry ReadAddEntry(Reader& reader) {
  AddEntry entry;
  entry.first_id = reader.I32();
  entry.protocol = ReadEnum(reader, Protocol::kUdp);
  entry.fields.source_address =
      ReadEnum(reader, static_cast<SourceAddress>(kSourceAddressNames.size() - 1));
  entry.slot = reader.U32();
  entry.count = reader.U16();
  entry.target = reader.Endpoint();
  EachForwardField(entry.fields, [&](const char* /*name*/, auto& value) { Read(reader, value); });
  if (entry.fields.max_flows == 0) reader.Fail();
  CheckPorts(reader, entry.target.port(), entry.count);
  if (entry.first_id < 0 || entry.first_id > std::numeric_limits<int>::max() - entry.count)
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
  EngineFields& fields = section.fields;
  EachEngineField(fields, [&](const char* /*name*/, auto& value) { Read(reader, value); });
  section.tells_of_ends = reader.U8() != 0;
  EachAddedEngineField(fields, IfThere(reader));
  const bool is_sound =
      fields.workers > 0 && fields.workers <= kMaxWorkers && fields.spin_micros <= kMaxSpinMicros &&
      fields.pipe_capacity_bytes >= kMinPipeBytes && fields.pipe_capacity_bytes <= kMaxPipeBytes;
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
  for (AddEntry& entry : entries) {
    Reader added(reader.at_end() ? std::span<const char>() : reader.Bytes());
    EachAddedForwardField(entry.fields, IfThere(added));
    if (!added.ok()) reader.Fail();
  }
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
