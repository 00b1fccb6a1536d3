// thread.h: a thread whose start may fail, which std::thread can only report by an exception.
// Owns:   the thread, which must have been joined before the object is destroyed. Signals belong to
//         the embedding program, so all are blocked in it.
// Fails:  SysError of pthread_create: EAGAIN if the user or the cgroup may have no more threads.
// Thread: Start and Join are for its owner.
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
  // May be called twice, and if nothing has started.
  void Join();

 private:
  pthread_t thread_{};
  bool runs_ = false;
};

}  // namespace spliceport
