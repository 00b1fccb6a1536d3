// child.h: forked processes, for what must not happen to the test program itself.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "base/unique_fd.h"
#include "net/address.h"

namespace spliceport {

// What a body in a child process finds wrong; doctest's own macros are not heard there.
class Findings {
 public:
  void Expect(bool holds, const std::string& what) {
    if (!holds) text_ += what + "; ";
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// Runs `body` in a forked process, for what changes a process for good: limits and users. What it
// found wrong, or how the process died; "" is success. The caller has no other thread, so that
// `body` may start some.
std::string InChild(const std::function<void(Findings&)>& body);

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

// A TCP server in a process of its own, so that limits and figures of the test program concern the
// relay alone. It sends back what it gets, and listens on 127.0.0.1 in the given namespace, or with
// -1 in the caller's.
class EchoProcess {
 public:
  explicit EchoProcess(int netns = -1);
  ~EchoProcess();
  EchoProcess(const EchoProcess&) = delete;
  EchoProcess& operator=(const EchoProcess&) = delete;
  const Address& address() const { return address_; }

 private:
  Address address_;
  // It ends when this is closed, which takes no right to send it a signal.
  UniqueFd hold_;
  pid_t pid_;
};

}  // namespace spliceport
