#include "shim/records.h"

namespace spliceport::shim {

namespace {

// The one counter that JavaScript does not have by itself.
constexpr const char* kSessionsClosed = "sessionsClosed";

}  // namespace

void WriteCounterNames(Writer& writer) {
  writer.U32(static_cast<uint32_t>(std::size(kSingleCounters)));
  for (const auto& [member, name] : kSingleCounters)
    writer.Text(name != nullptr ? name : kSessionsClosed);
}

void WriteStats(const ForwardCounters& counters, Writer& writer) {
  writer.U64(counters.SessionsOpen());
  writer.U16(static_cast<uint16_t>(std::size(kSingleCounters)));
  for (const auto& [member, name] : kSingleCounters)
    writer.U64((counters.*member).Get());
  writer.U16(static_cast<uint16_t>(counters.connect_latency.size()));
  for (const Counter& bucket : counters.connect_latency)
    writer.U64(bucket.Get());
  writer.I32(-counters.connect_error.Get());
}

void WriteSession(const SessionInfo& session, Writer& writer) {
  writer.I32(session.forward_id);
  writer.U8(static_cast<uint8_t>(session.protocol));
  writer.U8(static_cast<uint8_t>(session.state));
  writer.Endpoint(session.client);
  writer.Endpoint(session.target);
  writer.Text(session.source.port() != 0 ? session.source.Text() : "");
  writer.U16(session.source.port());
  writer.U64(session.bytes_to_container);
  writer.U64(session.bytes_to_host);
  writer.U64(static_cast<uint64_t>(session.age_micros / 1'000));
}

void WriteFailures(const std::map<int, ConnectFailure>& failures, Writer& writer) {
  writer.U32(static_cast<uint32_t>(failures.size()));
  for (const auto& [id, failure] : failures) {
    writer.I32(id);
    writer.U8(static_cast<uint8_t>(failure.ending));
    writer.I32(-failure.error);
  }
}

namespace {

void WriteEnded(const EndedSession& ended, Writer& writer) {
  writer.I32(ended.forward_id);
  writer.U8(static_cast<uint8_t>(ended.protocol));
  writer.Endpoint(ended.client);
  writer.Endpoint(ended.target);
  writer.U64(ended.bytes_to_container);
  writer.U64(ended.bytes_to_host);
  writer.U64(static_cast<uint64_t>(ended.duration_micros));
  writer.I64(ended.connect_micros);
  writer.U8(static_cast<uint8_t>(ended.ending));
  writer.I32(-ended.error);
}

}  // namespace

void WriteAllEnded(const std::vector<EndedSession>& ended, Writer& writer) {
  writer.U32(static_cast<uint32_t>(ended.size()));
  for (const EndedSession& each : ended)
    WriteEnded(each, writer);
}

}  // namespace spliceport::shim
