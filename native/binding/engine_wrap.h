// engine_wrap.h: the Engine class of src/engine/binding.ts.
// Owns:   the engine and the thread-safe function through which its workers reach JavaScript.
// Thread: JavaScript's, except OnRemoved, OnConnectFailed and
//         OnSessionsEnded.
// Life:   keeps itself alive until close() or the end of its environment. Teardown is the same for
//         both, and may run twice: join the workers, so that none of them calls any more; release
//         the thread-safe function; free the engine.
#pragma once

#include <napi.h>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "engine/engine.h"
#include "relay/session_log.h"

namespace spliceport::binding {

class EngineWrap final : public Napi::ObjectWrap<EngineWrap>, private EngineEvents {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit EngineWrap(const Napi::CallbackInfo& info);
  ~EngineWrap() override;
  EngineWrap(const EngineWrap&) = delete;
  EngineWrap& operator=(const EngineWrap&) = delete;

 private:
  Napi::Value Add(const Napi::CallbackInfo& info);
  Napi::Value Retarget(const Napi::CallbackInfo& info);
  void Remove(const Napi::CallbackInfo& info);
  Napi::Value OpenOwner(const Napi::CallbackInfo& info);
  void CloseOwner(const Napi::CallbackInfo& info);
  Napi::Value Stats(const Napi::CallbackInfo& info);
  Napi::Value StatsOfOwner(const Napi::CallbackInfo& info);
  Napi::Value Sessions(const Napi::CallbackInfo& info);
  Napi::Value TakeEnded(const Napi::CallbackInfo& info);
  void Close(const Napi::CallbackInfo& info);
  void KeepAlive(const Napi::CallbackInfo& info);
  void LetGo(const Napi::CallbackInfo& info);

  // What workers have reported and JavaScript has not heard yet.
  struct Reports {
    // By forward: one that fails again before JavaScript hears of it is reported once.
    std::map<int, ConnectFailure> failures;
    std::vector<int> removed;
    bool empty() const { return failures.empty() && removed.empty(); }
  };
  // The namespace that the last entry of a batch named. The next one usually names the same.
  struct KnownNetns {
    int fd = -1;
    NetnsPtr netns;
  };
  Result<TargetPtr> TargetFrom(const Napi::Object& object, KnownNetns& known);
  Result<void> AppendConfigs(const Napi::Object& object, KnownNetns& known,
                             std::vector<ForwardConfig>& configs);
  void OnRemoved(int id) override;
  void OnConnectFailed(int id, const ConnectFailure& failure) override;
  // On a worker's thread, once for all sessions of the owner that end before the next TakeEnded.
  void OnSessionsEnded(int owner);
  void AddReport(const std::function<void(Reports&)>& add);
  void Report(Napi::Env env, Napi::Function on_event);
  static void OnEnvironmentEnd(void* self);
  // False if it has been done before.
  bool TearDown();

  // For the owners to whom the ends of sessions are reported. They outlive the engine, so that the
  // last ends can be taken.
  std::map<int, SessionLogPtr> session_logs_;
  int workers_ = 0;
  int owners_ = 0;
  std::unique_ptr<Engine> engine_;
  Napi::ThreadSafeFunction wake_;
  std::mutex reports_mutex_;
  Reports reports_;
};

}  // namespace spliceport::binding
