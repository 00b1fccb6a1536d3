// call_faults.h: makes system calls of the engine's threads fail, or do less than they were asked
// to, now and then. Only what a kernel may do at any time and what the engine has to get over:
// EINTR, EMFILE, ENOMEM, ENOBUFS, ECONNABORTED, and a splice(2) that moves fewer bytes.
#pragma once

#include <cstdint>

namespace spliceport {

// While one lives, about one call in eight of those that call_faults.cc defines is touched, on
// every thread but the main one. One at a time.
class CallFaults {
 public:
  explicit CallFaults(uint64_t seed);
  ~CallFaults();
  CallFaults(const CallFaults&) = delete;
  CallFaults& operator=(const CallFaults&) = delete;

  // How many calls were touched.
  uint64_t count() const;
};

}  // namespace spliceport
