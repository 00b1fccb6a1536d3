// setns.h: network namespaces, and how a worker thread makes a socket inside one: it enters the namespace, makes the
//          socket, and stays there until it needs another; a socket keeps the namespace that made it.
// Owns:   a Netns owns its descriptor and is shared by the forwards that use it; a NetnsCursor is its thread's.
// Kernel: setns(2). A multithreaded process may join another network namespace but not another user namespace, so
//         rootless use starts inside the container's user namespace, where it has CAP_SYS_ADMIN over this one. There
//         it has none over the host's and cannot go back: the thread that binds host ports must never enter.
#pragma once

#include <sys/types.h>

#include <memory>

#include "base/result.h"
#include "base/unique_fd.h"

namespace spliceport {

class Netns {
 public:
  // Duplicates `borrowed_fd`.
  static Result<std::shared_ptr<const Netns>> From(int borrowed_fd);

  bool IsSameAs(const Netns& other) const {
    return device_ == other.device_ && inode_ == other.inode_;
  }
  int fd() const { return fd_.get(); }

 private:
  Netns(UniqueFd fd, dev_t device, ino_t inode)
      : fd_(std::move(fd)), device_(device), inode_(inode) {}
  UniqueFd fd_;
  dev_t device_;
  ino_t inode_;
};

// Null stands for the namespace that the process started in.
using NetnsPtr = std::shared_ptr<const Netns>;

inline bool IsSame(const NetnsPtr& one, const NetnsPtr& other) {
  return one == other || (one && other && one->IsSameAs(*other));
}

// Where the calling thread is.
class NetnsCursor {
 public:
  // Costs nothing when the thread is there already, else about half a microsecond.
  Result<void> Enter(const NetnsPtr& netns);
  // Lets go of a namespace that is no longer needed, where the thread may; else it stays until it enters another.
  void LeaveIfIn(const Netns& netns);

 private:
  NetnsPtr current_;
  UniqueFd home_;
};

// Whether the process may enter, tried on a thread that ends with the attempt.
Result<void> ProbeNetns(int fd);

}  // namespace spliceport
