// records.h: counters and sessions in the form in which they are sent.
// Thread: any.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <vector>

#include "relay/counters.h"
#include "relay/first_failure.h"
#include "relay/forward_types.h"
#include "relay/session_log.h"
#include "shim/wire.h"

namespace spliceport::shim {

// In the order of a stats record.
void WriteCounterNames(Writer& writer);
inline constexpr size_t kStatsBytes =
    sizeof(uint64_t) + sizeof(uint16_t) + std::size(kSingleCounters) * sizeof(uint64_t) +
    sizeof(uint16_t) + (kLatencyBucketsMicros.size() + 1) * sizeof(uint64_t) + sizeof(int32_t);
void WriteStats(const ForwardCounters& counters, Writer& writer);
void WriteSession(const SessionInfo& session, Writer& writer);
// Lists.
void WriteFailures(const std::map<int, ConnectFailure>& failures, Writer& writer);
void WriteAllEnded(const std::vector<EndedSession>& ended, Writer& writer);

}  // namespace spliceport::shim
