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
                         InstanceMethod<&FdWatcher::WatchWrites>("watchWrites"),
                         InstanceMethod<&FdWatcher::KeepAlive>("ref"),
                         InstanceMethod<&FdWatcher::LetGo>("unref"),
                     });
}

FdWatcher::FdWatcher(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<FdWatcher>(info),
      on_readable_(Napi::Persistent(info[1].As<Napi::Function>())),
      context_(info.Env(), "spliceport") {
  const int fd = ToInt(info[0]);
  if (info[3].ToBoolean()) owned_.Reset(fd);
  if (info[2].IsFunction()) on_writable_ = Napi::Persistent(info[2].As<Napi::Function>());
  auto* handle = new Handle{{}, this, nullptr};
  const int failed = uv_poll_init(LoopOf(info.Env()), &handle->poll, fd);
  if (failed != 0) {
    delete handle;
    owned_.Reset();
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
  Start(UV_READABLE);
  Ref();
}

void FdWatcher::Start(int events) {
  events_ = events;
  uv_poll_start(&handle_->poll, events, [](uv_poll_t* poll, int status, int happened) {
    auto* handle = static_cast<Handle*>(poll->data);
    // libuv stops at an error, with which a reader need not be at the end: a peer that left
    // something unread may have sent something before.
    if (handle->owner != nullptr && status != 0) handle->owner->Start(handle->owner->events_);
    // The first callback may close the watch. What failed is for the reader to find.
    if (handle->owner != nullptr && (happened & UV_WRITABLE) != 0)
      handle->owner->CallBack(handle->owner->on_writable_);
    if (handle->owner != nullptr && (status != 0 || (happened & UV_READABLE) != 0))
      handle->owner->CallBack(handle->owner->on_readable_);
  });
}

FdWatcher::~FdWatcher() { StopWatching(); }

void FdWatcher::StopWatching() {
  if (handle_ == nullptr) return;
  Handle* handle = std::exchange(handle_, nullptr);
  handle->owner = nullptr;
  // They may refer to this watcher, which would then never be collected.
  on_readable_.Reset();
  on_writable_.Reset();
  uv_close(reinterpret_cast<uv_handle_t*>(&handle->poll), [](uv_handle_t* poll) {
    auto* closed = static_cast<Handle*>(poll->data);
    napi_remove_async_cleanup_hook(closed->hook);
    delete closed;
  });
  owned_.Reset();
}

void FdWatcher::CallBack(const Napi::FunctionReference& callback) {
  const Napi::Env env = Env();
  const Napi::HandleScope scope(env);
  napi_value ignored = nullptr;
  AfterCallback(
      env, napi_make_callback(env, context_, env.Global(), callback.Value(), 0, nullptr, &ignored));
}

void FdWatcher::WatchWrites(const Napi::CallbackInfo& info) {
  if (handle_ != nullptr) Start(UV_READABLE | (info[0].ToBoolean() ? UV_WRITABLE : 0));
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
