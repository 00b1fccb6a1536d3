// convert.h: plain structs to JS values and back. TypeScript has checked the arguments: an invalid
//            one is a programming error, and aborts with a message.
// Thread: JavaScript's.
#pragma once

#include <napi.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/address.h"
#include "relay/counters.h"
#include "relay/first_failure.h"
#include "relay/forward_types.h"
#include "relay/session_log.h"
#include "relay/setting_fields.h"

namespace spliceport::binding {

Napi::Object ToFailure(Napi::Env env, SysError error);
// `{errno, syscall}`, or undefined.
Napi::Value ToOutcome(Napi::Env env, const Result<void>& result);
Napi::Object ToStats(Napi::Env env, const ForwardCounters& counters);
Napi::Array ToSessions(Napi::Env env, const std::vector<SessionInfo>& sessions);
Napi::Array ToEndedSessions(Napi::Env env, const std::vector<EndedSession>& sessions);
// Its `ending` and `errno`.
void SetFailure(Napi::Object& object, const ConnectFailure& failure);

int64_t IntegerAt(const Napi::Object& object, const char* key);
std::string TextAt(const Napi::Object& object, const char* key);
bool FlagAt(const Napi::Object& object, const char* key);
Protocol ProtocolAt(const Napi::Object& object, const char* key);
EngineFields EngineFieldsOf(const Napi::Object& object);
ForwardFields ForwardFieldsOf(const Napi::Object& object);
// From its `address` and `port`.
Address AddressOf(const Napi::Object& object);
// Ids or descriptors.
std::vector<int> ToInts(const Napi::Value& array);
int ToInt(const Napi::Value& value);

}  // namespace spliceport::binding
