// expect.h: what a fuzzer asserts; a crash is what libFuzzer reports.
#pragma once

#include <cstdlib>

namespace spliceport {

inline void Expect(bool condition) {
  if (!condition) std::abort();
}

}  // namespace spliceport
