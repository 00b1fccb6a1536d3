// fd_watcher.h: the FdWatcher class of src/engine/binding.ts: a uv_poll_t.
// Owns:   the libuv handle, which is freed once libuv has closed it; the descriptor if it is said
// to
//         be taken over.
// Thread: JavaScript's.
#pragma once

#include <napi.h>
#include <uv.h>

#include "base/result.h"
#include "base/unique_fd.h"

namespace spliceport::binding {

// Adds a descriptor to the loop's epoll set before libuv does, which aborts the process if there is
// no watch left (fs.epoll.max_user_watches). If libuv finds the descriptor there, it only sets the
// events. The reader of the descriptor must be started before the next turn of the loop.
Result<void> TakeWatch(Napi::Env env, int fd);

class FdWatcher final : public Napi::ObjectWrap<FdWatcher> {
 public:
  static Napi::Function Define(Napi::Env env);
  explicit FdWatcher(const Napi::CallbackInfo& info);
  ~FdWatcher() override;
  FdWatcher(const FdWatcher&) = delete;
  FdWatcher& operator=(const FdWatcher&) = delete;

 private:
  // Outlives the wrap: uv_close completes only in a later turn of the loop, for which an ending
  // environment must wait.
  struct Handle {
    uv_poll_t poll;
    FdWatcher* owner;
    napi_async_cleanup_hook_handle hook;
  };

  void Close(const Napi::CallbackInfo& info);
  void WatchWrites(const Napi::CallbackInfo& info);
  void KeepAlive(const Napi::CallbackInfo& info);
  void LetGo(const Napi::CallbackInfo& info);
  void StopWatching();
  void Start(int events);
  void CallBack(const Napi::FunctionReference& callback);

  Handle* handle_ = nullptr;
  int events_ = 0;
  // Empty if the descriptor is borrowed.
  UniqueFd owned_;
  Napi::FunctionReference on_readable_;
  // Empty if nobody waits until it is writable.
  Napi::FunctionReference on_writable_;
  Napi::AsyncContext context_;
};

}  // namespace spliceport::binding
