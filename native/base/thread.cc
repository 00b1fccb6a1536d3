#include "base/thread.h"

#include <csignal>
#include <memory>
#include <utility>

namespace spliceport {

namespace {

void* Run(void* body) {
  const std::unique_ptr<std::function<void()>> owned(static_cast<std::function<void()>*>(body));
  (*owned)();
  return nullptr;
}

}  // namespace

Thread::~Thread() { Check(!runs_, "a thread was left running"); }

// SIGPIPE, which splice(2) raises in its own thread, stays pending and harmless.
Result<void> Thread::Start(std::function<void()> body) {
  Check(!runs_, "a thread was started twice");
  auto owned = std::make_unique<std::function<void()>>(std::move(body));
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int failed = pthread_create(&thread_, nullptr, &Run, owned.get());
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (failed != 0) return SysError{-failed, "pthread_create"};
  (void)owned.release();
  runs_ = true;
  return {};
}

void Thread::Join() {
  if (!std::exchange(runs_, false)) return;
  pthread_join(thread_, nullptr);
}

}  // namespace spliceport
