#include "binding/engine_wrap.h"

#include <optional>
#include <utility>

#include "binding/callback.h"
#include "binding/convert.h"
#include "relay/configure.h"

namespace spliceport::binding {

namespace {

Napi::Object NewEvent(Napi::Env env, const char* type) {
  auto event = Napi::Object::New(env);
  event.Set("type", type);
  return event;
}

void CallBack(const Napi::Function& on_event, const Napi::Object& event) {
  const Napi::Env env = event.Env();
  napi_value argument = event;
  napi_value ignored = nullptr;
  AfterCallback(env, napi_call_function(env, env.Undefined(), on_event, 1, &argument, &ignored));
}

}  // namespace

Napi::Function EngineWrap::Define(Napi::Env env) {
  return DefineClass(env, "Engine",
                     {
                         InstanceMethod<&EngineWrap::Add>("add"),
                         InstanceMethod<&EngineWrap::Retarget>("retarget"),
                         InstanceMethod<&EngineWrap::Remove>("remove"),
                         InstanceMethod<&EngineWrap::OpenOwner>("openOwner"),
                         InstanceMethod<&EngineWrap::CloseOwner>("closeOwner"),
                         InstanceMethod<&EngineWrap::Stats>("stats"),
                         InstanceMethod<&EngineWrap::StatsOfOwner>("statsOfOwner"),
                         InstanceMethod<&EngineWrap::Sessions>("sessions"),
                         InstanceMethod<&EngineWrap::TakeEnded>("takeEnded"),
                         InstanceMethod<&EngineWrap::Close>("close"),
                         InstanceMethod<&EngineWrap::KeepAlive>("ref"),
                         InstanceMethod<&EngineWrap::LetGo>("unref"),
                     });
}

EngineWrap::EngineWrap(const Napi::CallbackInfo& info) : Napi::ObjectWrap<EngineWrap>(info) {
  const auto options = info[0].As<Napi::Object>();
  const Settings settings =
      SettingsFrom(EngineFieldsOf(options), static_cast<size_t>(IntegerAt(options, "acceptors")));
  workers_ = settings.workers;
  auto engine = Engine::Create(settings, *this);
  if (!engine.ok()) {
    auto error = Napi::Error::New(info.Env(), "the engine cannot start");
    error.Set("errno", Napi::Number::New(info.Env(), engine.error().code));
    error.Set("syscall", engine.error().syscall);
    error.ThrowAsJavaScriptException();
    return;
  }
  engine_ = std::move(engine.value());
  wake_ =
      Napi::ThreadSafeFunction::New(info.Env(), info[1].As<Napi::Function>(), "spliceport", 0, 1);
  // After the thread-safe function, whose constructor adds a hook of its own: hooks run last in,
  // first out, and the workers must have ended before it is released.
  napi_add_env_cleanup_hook(info.Env(), &EngineWrap::OnEnvironmentEnd, this);
  Ref();
}

EngineWrap::~EngineWrap() { TearDown(); }

void EngineWrap::OnEnvironmentEnd(void* self) { static_cast<EngineWrap*>(self)->TearDown(); }

bool EngineWrap::TearDown() {
  if (!engine_) return false;
  engine_->Close();
  wake_.Abort();
  engine_.reset();
  return true;
}

Result<TargetPtr> EngineWrap::TargetFrom(const Napi::Object& object, KnownNetns& known) {
  const int fd = static_cast<int>(IntegerAt(object, "netnsFd"));
  if (fd != known.fd) {
    auto netns = engine_->NetnsFor(fd);
    if (!netns.ok()) return netns.error();
    known = {fd, std::move(netns.value())};
  }
  return TargetPtr(std::make_shared<const Target>(Target{known.netns, AddressOf(object)}));
}

// Appends one for each host socket of an entry.
Result<void> EngineWrap::AppendConfigs(const Napi::Object& object, KnownNetns& known,
                                       std::vector<ForwardConfig>& configs) {
  const auto fds = object.Get("hostFds").As<Napi::Array>();
  const size_t begin = configs.size();
  // First, so that the descriptors are closed whatever happens next.
  for (uint32_t i = 0; i < fds.Length(); ++i) {
    configs.emplace_back().host_socket = std::make_shared<const UniqueFd>(ToInt(fds.Get(i)));
  }
  ForwardConfig common;
  common.id = static_cast<int>(IntegerAt(object, "firstId"));
  common.protocol = ProtocolAt(object, "protocol");
  const AdmissionRulesPtr rules = Configure(common, ForwardFieldsOf(object));
  common.owner = static_cast<int>(IntegerAt(object, "owner"));
  const auto log = session_logs_.find(common.owner);
  if (log != session_logs_.end()) common.session_log = log->second;
  auto first = TargetFrom(object.Get("target").As<Napi::Object>(), known);
  if (!first.ok()) return first.error();
  Target target = *first.value();
  const uint16_t first_port = target.address.port();
  for (size_t i = begin; i < configs.size(); ++i) {
    const auto offset = static_cast<int>(i - begin);
    target.address.set_port(static_cast<uint16_t>(first_port + offset));
    common.host_socket = std::move(configs[i].host_socket);
    common.target = std::make_shared<const Target>(target);
    if (rules) common.admission = std::make_shared<Admission>(rules);
    configs[i] = common;
    configs[i].id += offset;
  }
  return {};
}

Napi::Value EngineWrap::Add(const Napi::CallbackInfo& info) {
  Check(engine_ != nullptr, "a closed engine was used");
  const auto list = info[0].As<Napi::Array>();
  std::vector<ForwardConfig> configs;
  KnownNetns known;
  std::optional<SysError> failure;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const auto appended = AppendConfigs(list.Get(i).As<Napi::Object>(), known, configs);
    if (!appended.ok() && !failure) failure = appended.error();
  }
  if (failure) return ToFailure(info.Env(), *failure);
  return ToOutcome(info.Env(), engine_->Add(configs));
}

Napi::Value EngineWrap::Retarget(const Napi::CallbackInfo& info) {
  Check(engine_ != nullptr, "a closed engine was used");
  const auto list = info[0].As<Napi::Array>();
  std::vector<std::pair<int, TargetPtr>> changes;
  KnownNetns known;
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const auto change = list.Get(i).As<Napi::Object>();
    auto target = TargetFrom(change.Get("target").As<Napi::Object>(), known);
    if (!target.ok()) return ToFailure(info.Env(), target.error());
    changes.emplace_back(static_cast<int>(IntegerAt(change, "id")), std::move(target.value()));
  }
  engine_->Retarget(changes);
  return info.Env().Undefined();
}

void EngineWrap::Remove(const Napi::CallbackInfo& info) {
  Check(engine_ != nullptr, "a closed engine was used");
  const int64_t drain_micros = info[1].As<Napi::Number>().Int64Value() * 1'000;
  engine_->Remove(ToInts(info[0]), drain_micros);
}

Napi::Value EngineWrap::OpenOwner(const Napi::CallbackInfo& info) {
  const int owner = ++owners_;
  if (info[0].As<Napi::Boolean>().Value()) {
    session_logs_[owner] = std::make_shared<SessionLog>(static_cast<size_t>(workers_),
                                                        [this, owner] { OnSessionsEnded(owner); });
  }
  return Napi::Number::New(info.Env(), owner);
}

void EngineWrap::CloseOwner(const Napi::CallbackInfo& info) {
  const int owner = ToInt(info[0]);
  session_logs_.erase(owner);
  if (engine_) engine_->ForgetOwner(owner);
}

Napi::Value EngineWrap::Stats(const Napi::CallbackInfo& info) {
  Check(engine_ != nullptr, "a closed engine was used");
  ForwardCounters sum;
  engine_->Sum(ToInt(info[0]), sum);
  return ToStats(info.Env(), sum);
}

Napi::Value EngineWrap::StatsOfOwner(const Napi::CallbackInfo& info) {
  Check(engine_ != nullptr, "a closed engine was used");
  ForwardCounters sum;
  engine_->SumOf(ToInt(info[0]), sum);
  return ToStats(info.Env(), sum);
}

Napi::Value EngineWrap::Sessions(const Napi::CallbackInfo& info) {
  return ToSessions(info.Env(), engine_ ? engine_->Sessions() : std::vector<SessionInfo>());
}

Napi::Value EngineWrap::TakeEnded(const Napi::CallbackInfo& info) {
  std::vector<EndedSession> taken;
  const auto log = session_logs_.find(ToInt(info[0]));
  if (log != session_logs_.end()) log->second->Take(static_cast<size_t>(ToInt(info[1])), taken);
  return ToEndedSessions(info.Env(), taken);
}

void EngineWrap::Close(const Napi::CallbackInfo& info) {
  if (!TearDown()) return;
  napi_remove_env_cleanup_hook(info.Env(), &EngineWrap::OnEnvironmentEnd, this);
  Unref();
}

void EngineWrap::KeepAlive(const Napi::CallbackInfo& info) {
  if (engine_) wake_.Ref(info.Env());
}

void EngineWrap::LetGo(const Napi::CallbackInfo& info) {
  if (engine_) wake_.Unref(info.Env());
}

// On a worker's thread, as are the next two. What comes together is reported by one wake-up.
void EngineWrap::OnRemoved(int id) {
  AddReport([id](Reports& reports) { reports.removed.push_back(id); });
}

void EngineWrap::OnConnectFailed(int id, const ConnectFailure& failure) {
  AddReport([id, &failure](Reports& reports) { reports.failures[id] = failure; });
}

void EngineWrap::AddReport(const std::function<void(Reports&)>& add) {
  {
    const std::lock_guard lock(reports_mutex_);
    const bool is_first = reports_.empty();
    add(reports_);
    if (!is_first) return;
  }
  wake_.NonBlockingCall([this](Napi::Env env, Napi::Function on_event) { Report(env, on_event); });
}

void EngineWrap::OnSessionsEnded(int owner) {
  wake_.NonBlockingCall([owner](Napi::Env env, Napi::Function on_event) {
    if (env == nullptr || on_event.IsEmpty()) return;
    auto event = NewEvent(env, "sessions-ended");
    event.Set("owner", Napi::Number::New(env, owner));
    CallBack(on_event, event);
  });
}

void EngineWrap::Report(Napi::Env env, Napi::Function on_event) {
  if (env == nullptr || on_event.IsEmpty()) return;
  Reports reports;
  {
    const std::lock_guard lock(reports_mutex_);
    std::swap(reports, reports_);
  }
  for (const auto& [id, failure] : reports.failures) {
    auto event = NewEvent(env, "connect-failed");
    event.Set("id", Napi::Number::New(env, id));
    SetFailure(event, failure);
    CallBack(on_event, event);
  }
  for (const int id : reports.removed) {
    auto event = NewEvent(env, "removed");
    event.Set("id", Napi::Number::New(env, id));
    CallBack(on_event, event);
  }
}

}  // namespace spliceport::binding
