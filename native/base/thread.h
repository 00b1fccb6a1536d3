// thread.h: a thread whose start may fail, which std::thread can only report by an exception.
// Owns:   the thread, which must have been joined when this goes; signals are the embedding program's, so all are
//         blocked in it.
// Fails:  SysError of pthread_create: EAGAIN when the user or the control group may have no more threads.
#pragma once

#include <pthread.h>

#include <functional>

#include "base/result.h"

namespace spliceport {

class Thread {
 public:
  Thread() = default;
  ~Thread();
  Thread(const Thread&) = delete;
  Thread& operator=(const Thread&) = delete;

  Result<void> Start(std::function<void()> body);
  // May be called twice, and where nothing has started.
  void Join();

 private:
  pthread_t thread_{};
  bool runs_ = false;
};

// Runs `action` on a thread that ends with it; its outcome, or why there is no such thread.
Result<void> OnOwnThread(const std::function<Result<void>()>& action);

}  // namespace spliceport
