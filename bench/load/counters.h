// counters.h: what the server has received, in a file that both sides map. A client reads the
// receiver's count at the very edges of its window, without a message that could be delayed or
// lost. Relaxed is enough: a count that is a microsecond old is as good.
#pragma once

#include <stdint.h>

#include <atomic>
#include <string>

namespace spliceport::bench {

struct Counters {
  std::atomic<uint64_t> tcp_bytes;
  std::atomic<uint64_t> udp_datagrams;

  // Maps the file, which the server makes. Mapped until the process ends.
  static Counters* Create(const std::string& path);
  static Counters* Open(const std::string& path);
};

inline void Add(std::atomic<uint64_t>& counter, uint64_t amount) {
  counter.fetch_add(amount, std::memory_order_relaxed);
}

inline uint64_t Get(const std::atomic<uint64_t>& counter) {
  return counter.load(std::memory_order_relaxed);
}

}  // namespace spliceport::bench
