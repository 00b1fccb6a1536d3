// convert.h: plain structs to JS values and back. Arguments were checked in TypeScript: a wrong one is a programming
//            fault and aborts with a text.
// Thread: JavaScript's.
#pragma once

#include <napi.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/address.h"
#include "proxy/proxy_trust.h"
#include "relay/admission.h"
#include "relay/counters.h"
#include "relay/session_log.h"
#include "relay/target.h"

namespace spliceport::binding {

Napi::Object ToFailure(Napi::Env env, SysError error);
// `{errno, syscall}`, or undefined.
Napi::Value ToOutcome(Napi::Env env, const Result<void>& result);
Napi::Object ToStats(Napi::Env env, const ForwardCounters& counters);
Napi::Array ToSessions(Napi::Env env, const std::vector<SessionInfo>& sessions);
Napi::Array ToEndedSessions(Napi::Env env, const std::vector<EndedSession>& sessions);

int64_t IntegerAt(const Napi::Object& object, const char* key);
std::string TextAt(const Napi::Object& object, const char* key);
bool FlagAt(const Napi::Object& object, const char* key);
SourceAddress SourceAddressAt(const Napi::Object& object, const char* key);
Protocol ProtocolAt(const Napi::Object& object, const char* key);
CidrList CidrListAt(const Napi::Object& object, const char* key);
// Null where nothing is limited.
AdmissionRulesPtr AdmissionRulesOf(const Napi::Object& object);
// From its `trustedProxies` and `proxyHeaderTimeoutMs`; null where it trusts none.
ProxyTrustPtr ProxyTrustOf(const Napi::Object& object);
// From its `address` and `port`.
Address AddressOf(const Napi::Object& object);
std::vector<int> ToIds(const Napi::Value& array);
int ToInt(const Napi::Value& value);

}  // namespace spliceport::binding
