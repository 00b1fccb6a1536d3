// child.h: forked processes, for what must not happen to the test program itself.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "unique_fd.h"

namespace spliceport {

// Runs `body` in a forked process, for what changes a process for good: limits, users, namespaces. What `body`
// returned, or how the process died; "" is success. The caller has no other thread, so that `body` may start some.
std::string InChild(const std::function<std::string()>& body);

// A process between fork and exec, for as long as this lives: it has a copy of every descriptor.
class ForkedHolder {
 public:
  ForkedHolder();
  ~ForkedHolder();
  ForkedHolder(const ForkedHolder&) = delete;
  ForkedHolder& operator=(const ForkedHolder&) = delete;

 private:
  UniqueFd hold_;
  pid_t pid_;
};

}  // namespace spliceport
