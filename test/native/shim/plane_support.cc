#include "shim/plane_support.h"

#include <doctest/doctest.h>

namespace spliceport::shim {

Result<void> RecordingHost::OnReady(int exit_fd, int ready_fd, UniqueFd error_fd) {
  calls += "ready(" + std::to_string(exit_fd) + "," + std::to_string(ready_fd) + ")";
  error_output = std::move(error_fd);
  if (ready_failure.code != 0) return ready_failure;
  return {};
}

void RecordingHost::OnReloadListener(ReloadListener listener) {
  calls += "reload(" + listener.name + ")";
  reload = std::move(listener);
}

void RecordingHost::OnControlListener(std::optional<ControlListener> listener) {
  calls += "control(" + (listener ? listener->name : "none") + ")";
  control = std::move(listener);
}

void RecordingHost::OnReply(uint32_t client, std::string bytes) {
  calls += "reply(" + std::to_string(client) + "," + bytes + ")";
}

std::string RequestOf(const std::vector<Section>& sections, uint32_t seq) {
  Writer request;
  request.U32(seq);
  for (const auto& [kind, bytes] : sections) {
    request.U8(static_cast<uint8_t>(kind));
    request.Bytes(bytes);
  }
  return request.Take();
}

Answer AnswerFrom(const std::string& payload) {
  Reader reader(payload);
  Answer answer;
  answer.seq = reader.U32();
  answer.error = reader.I32();
  answer.section = reader.U32();
  answer.index = reader.U32();
  answer.syscall = reader.Text();
  const uint32_t results = reader.U32();
  for (uint32_t i = 0; i < results && reader.ok(); ++i)
    answer.results.push_back(reader.Text());
  CHECK(reader.ok());
  CHECK(reader.at_end());
  return answer;
}

Section EngineOf(int workers, bool tells_of_ends) {
  Writer writer;
  writer.I32(workers);
  writer.I64(0);
  writer.U64(1 << 20);
  writer.U32(500);
  writer.U8(tells_of_ends ? 1 : 0);
  return {'E', writer.Take()};
}

Section OpenOf(const std::vector<OpenEntry>& entries) {
  Writer writer;
  writer.U32(static_cast<uint32_t>(entries.size()));
  for (const OpenEntry& entry : entries) {
    writer.U8(static_cast<uint8_t>(entry.protocol));
    writer.U8(entry.ipv6_only ? 1 : 0);
    writer.U16(entry.count);
    writer.Text(entry.address);
    writer.U16(entry.port);
  }
  return {'O', writer.Take()};
}

Section NetnsOf(const std::string& path) { return TextOf('N', path); }

namespace {

void WriteCidrs(Writer& writer, const std::vector<std::string>& blocks) {
  writer.U32(static_cast<uint32_t>(blocks.size()));
  for (const std::string& block : blocks)
    writer.Text(block);
}

}  // namespace

Section AddOf(const std::vector<AddedForwards>& entries) {
  Writer writer;
  writer.U32(static_cast<uint32_t>(entries.size()));
  for (const AddedForwards& entry : entries) {
    writer.I32(entry.first_id);
    writer.U8(static_cast<uint8_t>(entry.protocol));
    writer.U8(entry.source_address);
    writer.U32(entry.slot);
    writer.U16(entry.count);
    writer.Text(entry.address);
    writer.U16(entry.port);
    writer.U8(1);        // UDP segmentation.
    writer.U32(10'000);  // Connect timeout.
    writer.U32(90'000);  // UDP timeout.
    writer.U32(15'000);  // Keepalive.
    writer.U32(15'000);
    writer.U32(9);
    writer.U32(entry.max_flows);
    writer.U32(entry.max_sessions);
    writer.U32(0);  // Sessions per second.
    writer.U32(3'000);
    WriteCidrs(writer, entry.allow);
    WriteCidrs(writer, {});
    WriteCidrs(writer, entry.trusted_proxies);
  }
  return {'A', writer.Take()};
}

Section RetargetOf(const std::vector<RetargetTo>& entries) {
  Writer writer;
  writer.U32(static_cast<uint32_t>(entries.size()));
  for (const RetargetTo& entry : entries) {
    writer.I32(entry.id);
    writer.I32(entry.slot);
    writer.Text(entry.address);
    writer.U16(entry.port);
  }
  return {'T', writer.Take()};
}

Section RemoveOf(int64_t drain_millis, const std::vector<int>& ids) {
  Writer writer;
  writer.I64(drain_millis);
  writer.U32(static_cast<uint32_t>(ids.size()));
  for (const int id : ids)
    writer.I32(id);
  return {'D', writer.Take()};
}

Section StatsOf(const std::vector<int>& ids) {
  Writer writer;
  writer.U32(static_cast<uint32_t>(ids.size()));
  for (const int id : ids)
    writer.I32(id);
  return {'S', writer.Take()};
}

Section NumberOf(char kind, uint32_t number) {
  Writer writer;
  writer.U32(number);
  return {kind, writer.Take()};
}

Section TextOf(char kind, const std::string& text) {
  Writer writer;
  writer.Text(text);
  return {kind, writer.Take()};
}

std::vector<uint16_t> Plane::Open(const std::vector<OpenEntry>& entries) {
  const Answer answer = Do({OpenOf(entries)});
  REQUIRE(answer.error == 0);
  Reader reader(answer.results.at(0));
  std::vector<uint16_t> ports(reader.U32());
  for (uint16_t& port : ports)
    port = reader.U16();
  CHECK(reader.at_end());
  return ports;
}

State StateOf(DataPlane& plane) {
  Writer writer;
  plane.WriteState(writer);
  const std::string bytes = writer.Take();
  Reader reader(bytes);
  State state;
  state.next_id = reader.I32();
  const uint32_t namespaces = reader.U32();
  for (uint32_t i = 0; i < namespaces && reader.ok(); ++i) {
    auto& each = state.namespaces.emplace_back();
    each.slot = reader.U32();
    each.path = reader.Text();
    each.dev = reader.U64();
    each.ino = reader.U64();
  }
  const uint32_t forwards = reader.U32();
  for (uint32_t i = 0; i < forwards && reader.ok(); ++i) {
    auto& each = state.forwards.emplace_back();
    each.id = reader.I32();
    each.protocol = reader.U8();
    each.source_address = reader.U8();
    each.dual_stack = reader.U8() != 0;
    each.draining = reader.U8() != 0;
    each.slot = reader.U32();
    each.host = reader.Endpoint();
    each.target = reader.Endpoint();
  }
  state.blob = reader.Text();
  const uint32_t notes = reader.U32();
  for (uint32_t i = 0; i < notes && reader.ok(); ++i) {
    std::string name = reader.Text();
    state.own_notes[std::move(name)] = reader.Text();
  }
  CHECK(reader.ok());
  CHECK(reader.at_end());
  return state;
}

uint64_t StatsRecord::of(const std::string& name) const {
  for (const auto& [known, count] : counters) {
    if (known == name) return count;
  }
  FAIL("no counter of that name");
  return 0;
}

std::vector<StatsRecord> StatsFrom(const std::string& result) {
  Writer names_writer;
  DataPlane::WriteCounterNames(names_writer);
  const std::string names_bytes = names_writer.Take();
  Reader names_reader(names_bytes);
  std::vector<std::string> names(names_reader.U32());
  for (std::string& name : names)
    name = names_reader.Text();
  CHECK(names_reader.at_end());
  Reader reader(result);
  std::vector<StatsRecord> records(reader.U32());
  for (StatsRecord& record : records) {
    record.sessions_open = reader.U64();
    REQUIRE(reader.U16() == names.size());
    for (const std::string& name : names)
      record.counters.emplace_back(name, reader.U64());
    record.latency.resize(reader.U16());
    for (uint64_t& bucket : record.latency)
      bucket = reader.U64();
    record.connect_error = reader.I32();
  }
  CHECK(reader.ok());
  CHECK(reader.at_end());
  return records;
}

}  // namespace spliceport::shim
