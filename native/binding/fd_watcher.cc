#include "binding/fd_watcher.h"

#include <sys/epoll.h>

#include <cerrno>
#include <utility>

#include "base/check.h"
#include "binding/callback.h"
#include "binding/convert.h"

namespace spliceport::binding {

namespace {

uv_loop_t* LoopOf(Napi::Env env) {
  uv_loop_t* loop = nullptr;
  Check(napi_get_uv_event_loop(env, &loop) == napi_ok, "this environment has no event loop");
  return loop;
}

void ThrowUnwatched(Napi::Env env, int code) {
  auto error = Napi::Error::New(env, "the descriptor cannot be watched");
  error.Set("errno", Napi::Number::New(env, code));
  error.Set("syscall", "epoll_ctl");
  error.ThrowAsJavaScriptException();
}

}  // namespace

Result<void> TakeWatch(Napi::Env env, int fd) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  const int epoll = uv_backend_fd(LoopOf(env));
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0 || errno == EEXIST) return {};
  return LastError("epoll_ctl");
}

Napi::Function FdWatcher::Define(Napi::Env env) {
  return DefineClass(env, "FdWatcher",
                     {
                         InstanceMethod<&FdWatcher::Close>("close"),
                         InstanceMethod<&FdWatcher::KeepAlive>("ref"),
                         InstanceMethod<&FdWatcher::LetGo>("unref"),
                     });
}

FdWatcher::FdWatcher(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<FdWatcher>(info),
      on_readable_(Napi::Persistent(info[1].As<Napi::Function>())),
      context_(info.Env(), "spliceport") {
  const int fd = ToInt(info[0]);
  auto* handle = new Handle{{}, this, nullptr};
  const int failed = uv_poll_init(LoopOf(info.Env()), &handle->poll, fd);
  if (failed != 0) {
    delete handle;
    ThrowUnwatched(info.Env(), failed);
    return;
  }
  handle_ = handle;
  handle->poll.data = handle;
  napi_add_async_cleanup_hook(
      info.Env(),
      [](napi_async_cleanup_hook_handle, void* data) {
        FdWatcher* owner = static_cast<Handle*>(data)->owner;
        if (owner != nullptr) owner->StopWatching();
      },
      handle, &handle->hook);
  if (const auto taken = TakeWatch(info.Env(), fd); !taken.ok()) {
    StopWatching();
    ThrowUnwatched(info.Env(), taken.error().code);
    return;
  }
  uv_poll_start(&handle->poll, UV_READABLE, [](uv_poll_t* poll, int, int) {
    FdWatcher* owner = static_cast<Handle*>(poll->data)->owner;
    if (owner != nullptr) owner->OnReadable();
  });
  Ref();
}

FdWatcher::~FdWatcher() { StopWatching(); }

void FdWatcher::StopWatching() {
  if (handle_ == nullptr) return;
  Handle* handle = std::exchange(handle_, nullptr);
  handle->owner = nullptr;
  uv_close(reinterpret_cast<uv_handle_t*>(&handle->poll), [](uv_handle_t* poll) {
    auto* closed = static_cast<Handle*>(poll->data);
    napi_remove_async_cleanup_hook(closed->hook);
    delete closed;
  });
}

void FdWatcher::OnReadable() {
  const Napi::Env env = Env();
  const Napi::HandleScope scope(env);
  napi_value ignored = nullptr;
  AfterCallback(env, napi_make_callback(env, context_, env.Global(), on_readable_.Value(), 0,
                                        nullptr, &ignored));
}

void FdWatcher::Close(const Napi::CallbackInfo&) {
  if (handle_ == nullptr) return;
  StopWatching();
  Unref();
}

void FdWatcher::KeepAlive(const Napi::CallbackInfo&) {
  if (handle_ != nullptr) uv_ref(reinterpret_cast<uv_handle_t*>(&handle_->poll));
}

void FdWatcher::LetGo(const Napi::CallbackInfo&) {
  if (handle_ != nullptr) uv_unref(reinterpret_cast<uv_handle_t*>(&handle_->poll));
}

}  // namespace spliceport::binding
