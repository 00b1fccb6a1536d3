// setns.h: network namespaces, and how a worker makes a socket inside one: it enters the namespace,
//          makes the socket, and stays there until it needs another. A socket keeps the namespace
//          that it was created in.
// Owns:   a Netns owns its descriptor, and is shared by the forwards that use it.
// Thread: a Netns may be used on any; a NetnsCursor is its worker's.
// Kernel: setns(2). A multithreaded process may join another network namespace but not another user
//         namespace. So rootless use starts inside the container's user namespace, where it has
//         CAP_SYS_ADMIN over this one. There it has none over the host's and cannot go back: the
//         thread that binds host ports must never enter.
#pragma once

#include <sys/types.h>

#include <functional>
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

// Null: the namespace that the process started in.
using NetnsPtr = std::shared_ptr<const Netns>;

inline bool IsSame(const NetnsPtr& one, const NetnsPtr& other) {
  return one == other || (one && other && one->IsSameAs(*other));
}

// The namespace that the calling thread is in.
class NetnsCursor {
 public:
  // Free if the thread is there already, else about half a microsecond.
  Result<void> Enter(const NetnsPtr& netns);
  // Leaves a namespace that is no longer needed. If the thread may not, it stays until it enters
  // another.
  void LeaveIfIn(const Netns& netns);

 private:
  NetnsPtr current_;
  UniqueFd home_;
};

// Runs `action` in a namespace, on a thread that exits with it: a thread that has entered may not
// be able to return. -1 is the process's own namespace. Returns the outcome of `action`, or why it
// did not run: no thread (EAGAIN), no permission to enter (EPERM).
Result<void> RunIn(int netns_fd, const std::function<Result<void>()>& action);
// Whether a thread can enter the namespace.
Result<void> ProbeNetns(int netns_fd);

}  // namespace spliceport
