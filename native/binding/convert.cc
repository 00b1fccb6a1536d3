#include "binding/convert.h"

#include <string_view>
#include <utility>

namespace spliceport::binding {

namespace {

// Counters are well below 2^53, where a double is exact.
Napi::Number ToNumber(Napi::Env env, uint64_t count) {
  return Napi::Number::New(env, static_cast<double>(count));
}

Napi::Object ToEndpoint(Napi::Env env, const Address& address) {
  auto endpoint = Napi::Object::New(env);
  endpoint.Set("address", address.Text());
  endpoint.Set("port", ToNumber(env, address.port()));
  return endpoint;
}

const char* Name(SessionState state) { return kSessionStateNames[static_cast<size_t>(state)]; }

const char* Name(SessionEnding ending) { return kSessionEndingNames[static_cast<size_t>(ending)]; }

}  // namespace

Napi::Object ToFailure(Napi::Env env, SysError error) {
  auto failure = Napi::Object::New(env);
  failure.Set("errno", Napi::Number::New(env, error.code));
  failure.Set("syscall", error.syscall);
  return failure;
}

Napi::Value ToOutcome(Napi::Env env, const Result<void>& result) {
  if (result.ok()) return env.Undefined();
  return ToFailure(env, result.error());
}

Napi::Object ToStats(Napi::Env env, const ForwardCounters& counters) {
  auto stats = Napi::Object::New(env);
  const auto set = [&](const char* name, uint64_t count) { stats.Set(name, ToNumber(env, count)); };
  set("sessionsOpen", counters.SessionsOpen());
  for (const auto& [member, name] : kSingleCounters)
    if (name != nullptr) set(name, (counters.*member).Get());
  auto latency = Napi::Array::New(env, counters.connect_latency.size());
  uint32_t index = 0;
  for (const Counter& bucket : counters.connect_latency)
    latency.Set(index++, ToNumber(env, bucket.Get()));
  stats.Set("connectLatency", latency);
  if (const int error = counters.connect_error.Get(); error != 0)
    stats.Set("connectErrno", Napi::Number::New(env, -error));
  return stats;
}

Napi::Array ToSessions(Napi::Env env, const std::vector<SessionInfo>& sessions) {
  auto array = Napi::Array::New(env, sessions.size());
  uint32_t index = 0;
  for (const SessionInfo& info : sessions) {
    auto session = Napi::Object::New(env);
    session.Set("forwardId", Napi::Number::New(env, info.forward_id));
    session.Set("protocol", info.protocol == Protocol::kTcp ? "tcp" : "udp");
    session.Set("client", ToEndpoint(env, info.client));
    session.Set("target", ToEndpoint(env, info.target));
    if (info.source.port() != 0) session.Set("source", ToEndpoint(env, info.source));
    session.Set("state", Name(info.state));
    session.Set("bytesToContainer", ToNumber(env, info.bytes_to_container));
    session.Set("bytesToHost", ToNumber(env, info.bytes_to_host));
    session.Set("ageMs", ToNumber(env, static_cast<uint64_t>(info.age_micros / 1'000)));
    array.Set(index++, session);
  }
  return array;
}

Napi::Array ToEndedSessions(Napi::Env env, const std::vector<EndedSession>& sessions) {
  auto array = Napi::Array::New(env, sessions.size());
  uint32_t index = 0;
  for (const EndedSession& ended : sessions) {
    auto session = Napi::Object::New(env);
    session.Set("forwardId", Napi::Number::New(env, ended.forward_id));
    session.Set("protocol", ended.protocol == Protocol::kTcp ? "tcp" : "udp");
    session.Set("client", ToEndpoint(env, ended.client));
    session.Set("target", ToEndpoint(env, ended.target));
    session.Set("bytesToContainer", ToNumber(env, ended.bytes_to_container));
    session.Set("bytesToHost", ToNumber(env, ended.bytes_to_host));
    session.Set("durationMicros", ToNumber(env, static_cast<uint64_t>(ended.duration_micros)));
    if (ended.connect_micros >= 0)
      session.Set("connectMicros", ToNumber(env, static_cast<uint64_t>(ended.connect_micros)));
    session.Set("ending", Name(ended.ending));
    if (ended.error != 0) session.Set("errno", Napi::Number::New(env, -ended.error));
    array.Set(index++, session);
  }
  return array;
}

void SetFailure(Napi::Object& object, const ConnectFailure& failure) {
  const Napi::Env env = object.Env();
  object.Set("ending", Name(failure.ending));
  if (failure.error != 0) object.Set("errno", Napi::Number::New(env, -failure.error));
}

int64_t IntegerAt(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  Check(value.IsNumber(), key);
  return value.As<Napi::Number>().Int64Value();
}

std::string TextAt(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  Check(value.IsString(), key);
  return value.As<Napi::String>().Utf8Value();
}

bool FlagAt(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  Check(value.IsBoolean(), key);
  return value.As<Napi::Boolean>().Value();
}

Protocol ProtocolAt(const Napi::Object& object, const char* key) {
  return TextAt(object, key) == "udp" ? Protocol::kUdp : Protocol::kTcp;
}

namespace {

CidrList CidrListAt(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  Check(value.IsArray(), key);
  const auto list = value.As<Napi::Array>();
  std::vector<Cidr> blocks;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const auto block = Cidr::Parse(list.Get(i).As<Napi::String>().Utf8Value());
    Check(block.has_value(), "a block of addresses that is none reached the addon");
    blocks.push_back(*block);
  }
  return CidrList(blocks);
}

// A setting of each type.
void Take(const Napi::Object& object, const char* key, uint32_t& value) {
  value = static_cast<uint32_t>(IntegerAt(object, key));
}
void Take(const Napi::Object& object, const char* key, uint64_t& value) {
  value = static_cast<uint64_t>(IntegerAt(object, key));
}
void Take(const Napi::Object& object, const char* key, bool& value) { value = FlagAt(object, key); }
void Take(const Napi::Object& object, const char* key, CidrList& value) {
  value = CidrListAt(object, key);
}
void Take(const Napi::Object& object, const char* key, SourceAddress& value) {
  const std::string text = TextAt(object, key);
  size_t index = 0;
  while (index < kSourceAddressNames.size() && kSourceAddressNames.at(index) != text)
    ++index;
  Check(index < kSourceAddressNames.size(), key);
  value = static_cast<SourceAddress>(index);
}

}  // namespace

EngineFields EngineFieldsOf(const Napi::Object& object) {
  EngineFields fields;
  const auto take = [&](const char* key, auto& value) { Take(object, key, value); };
  EachEngineField(fields, take);
  EachAddedEngineField(fields, take);
  return fields;
}

ForwardFields ForwardFieldsOf(const Napi::Object& object) {
  ForwardFields fields;
  const auto take = [&](const char* key, auto& value) { Take(object, key, value); };
  take("sourceAddress", fields.source_address);
  EachForwardField(fields, take);
  EachAddedForwardField(fields, take);
  return fields;
}

Address AddressOf(const Napi::Object& object) {
  const auto address =
      Address::Parse(TextAt(object, "address"), static_cast<uint16_t>(IntegerAt(object, "port")));
  Check(address.has_value(), "an address that is none reached the addon");
  return *address;
}

std::vector<int> ToInts(const Napi::Value& array) {
  Check(array.IsArray(), "an array of numbers was expected");
  const auto list = array.As<Napi::Array>();
  std::vector<int> numbers;
  for (uint32_t i = 0; i < list.Length(); ++i)
    numbers.push_back(ToInt(list.Get(i)));
  return numbers;
}

int ToInt(const Napi::Value& value) {
  Check(value.IsNumber(), "a number was expected");
  return value.As<Napi::Number>().Int32Value();
}

}  // namespace spliceport::binding
