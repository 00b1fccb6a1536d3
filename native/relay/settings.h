// settings.h: what an engine is created with. Plain values, which SettingsFrom makes of its
// settings. Thread: any. Copied into each worker, never changed.
#pragma once

#include <cstddef>
#include <cstdint>

namespace spliceport {

struct Settings {
  int workers = 0;
  // Workers that take the new connections of one forward.
  size_t acceptors = 0;
  int64_t spin_micros = 0;
  size_t pipe_capacity_bytes = 0;
  // A client up to this round trip away is near, and bulk to it gets a small send buffer; 0: the
  // kernel tunes every buffer.
  uint32_t near_rtt_micros = 0;
};

}  // namespace spliceport
