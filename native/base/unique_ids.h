// unique_ids.h: ids of sessions and flows that are unique across processes.
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
  // Counts up from a random 64-bit number, which is drawn with the first id.
  uint64_t next_ = 0;
};

}  // namespace spliceport
