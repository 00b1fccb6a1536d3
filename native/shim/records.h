// records.h: counters and sessions in the form in which they are sent.
// Thread: any.
#pragma once

#include "relay/counters.h"
#include "relay/forward_types.h"
#include "relay/session_log.h"
#include "shim/wire.h"

namespace spliceport::shim {

// In the order of a stats record.
void WriteCounterNames(Writer& writer);
void WriteStats(const ForwardCounters& counters, Writer& writer);
void WriteSession(const SessionInfo& session, Writer& writer);
void WriteEnded(const EndedSession& ended, Writer& writer);

}  // namespace spliceport::shim
