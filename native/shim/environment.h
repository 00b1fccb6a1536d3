// environment.h: the variables that this process was started with.
// Thread: any; nobody changes them.
#pragma once

#include <cstdlib>
#include <string>

namespace spliceport::shim {

// Empty if there is none.
inline std::string Variable(const char* name) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes the environment
  const char* value = getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace spliceport::shim
