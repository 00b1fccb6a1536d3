// check.h: stops the process on a programming fault, with a text that says which.
// For what callers must have made sure of; what the world can do wrong is a Result.
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
