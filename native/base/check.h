// check.h: aborts the process on a programming error, with a message.
// Thread: any.
// For what callers must guarantee. What can go wrong at run time is a Result.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace spliceport {

inline void Check(bool holds, const char* fault) {
  if (holds) return;
  (void)std::fprintf(stderr, "spliceport: %s\n", fault);
  std::abort();
}

}  // namespace spliceport
