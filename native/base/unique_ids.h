// unique_ids.h: names for sessions and flows that no other has, in this process or another.
// Thread: one.
#pragma once

#include <cstdint>
#include <string>

namespace spliceport {

class UniqueIds {
 public:
  // 16 hexadecimal digits.
  std::string Next();

 private:
  // Counted up from a place among 2^64 that is random, and taken when the first is asked for.
  uint64_t next_ = 0;
};

}  // namespace spliceport
