// tcp_script.h: what the two ends of one TCP connection do, chosen at random, and what must come of
//               it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace spliceport {

// How a side sees that the other one ended.
enum class End : uint8_t {
  kOpen,
  kFin,
  kReset,
  kFinThenReset,  // A read says "end" for the FIN; only a write or POLLHUP tells of the RST.
};
const char* NameOf(End end);

struct Step {
  enum class Kind : uint8_t {
    kWrite,     // `amount` bytes.
    kPause,     // No step for `amount` microseconds; reading goes on.
    kStall,     // No reading for `amount` microseconds; the steps go on.
    kAwait,     // Until `amount` bytes have come in all, or the other side has ended.
    kAwaitEnd,  // Until the other side has ended.
    kFlush,     // Until everything written is acknowledged.
    kShutdown,  // FIN.
    kReset,     // Close with RST.
    kClose,     // close(2).
  };
  Kind kind;
  size_t amount;
};

struct Part {
  std::vector<Step> steps;
  size_t bytes_per_read = 0;
  int receive_buffer_bytes = 0;  // 0: the kernel's choice.
  int64_t begins_after_micros = 0;
  // What the side must see: one of the endings (none named: any), and at least so many of the
  // other's bytes.
  std::vector<End> endings;
  size_t least_bytes = 0;
};

// Part 0 is the client's, 1 the server's.
struct Script {
  uint64_t seed = 0;
  std::array<Part, 2> parts;

  static Script Random(uint64_t seed);
  std::string Text() const;
};

// The bytes that a side of a script writes, from `offset` on; at least one, at most `most`.
std::string_view StreamBytes(uint64_t seed, size_t side, size_t offset, size_t max);

}  // namespace spliceport
