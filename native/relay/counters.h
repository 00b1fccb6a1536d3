// counters.h: what one forward did on one worker. The unit is in each name.
// Thread: written by its worker alone, read by any; relaxed, since each figure stands for itself.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace spliceport {

// A single-writer counter: a plain load and store, where fetch_add would lock the bus.
class Counter {
 public:
  void Add(uint64_t count = 1) { value_.store(Get() + count, std::memory_order_relaxed); }
  uint64_t Get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// The latest errno of its kind; 0: there was none.
class LatestError {
 public:
  void Set(int error) { value_.store(error, std::memory_order_relaxed); }
  int Get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int> value_{0};
};

// Upper bounds of the connect-latency buckets, CONNECT_LATENCY_BUCKETS_MICROS in src/types.ts; one more bucket
// takes the rest.
inline constexpr std::array<uint32_t, 13> kLatencyBucketsMicros = {
    50, 100, 250, 500, 1'000, 2'500, 5'000, 10'000, 25'000, 50'000, 100'000, 250'000, 1'000'000};

struct ForwardCounters {
  Counter sessions_opened;
  Counter sessions_closed;
  Counter connect_failures;
  Counter connect_timeouts;
  Counter connect_retries;
  Counter sessions_reset;
  Counter local_failures;
  Counter sessions_moved;
  Counter bytes_to_container;
  Counter bytes_to_host;
  Counter datagrams_to_container;
  Counter datagrams_to_host;
  Counter datagrams_dropped;
  Counter datagrams_lost_in_kernel;
  Counter flows_evicted;
  Counter flows_displaced;
  Counter accept_pauses;
  Counter pipe_fallbacks;
  Counter sessions_denied;
  Counter sessions_over_limit;
  Counter sessions_over_rate;
  Counter proxy_sources_untrusted;
  Counter proxy_headers_malformed;
  Counter proxy_headers_late;
  Counter source_address_fallbacks;
  Counter session_log_dropped;
  Counter connect_micros;
  std::array<Counter, kLatencyBucketsMicros.size() + 1> connect_latency;
  LatestError
      connect_error;  // Of the latest connection that could not be had, unless it had no answer in time.

  void Merge(const ForwardCounters& other);

  // Never below none: of a session that another worker has ended meanwhile, the end alone may have been read.
  uint64_t SessionsOpen() const {
    const uint64_t opened = sessions_opened.Get();
    const uint64_t closed = sessions_closed.Get();
    return opened > closed ? opened - closed : 0;
  }

  void RecordConnect(uint64_t micros) {
    size_t bucket = 0;
    while (bucket < kLatencyBucketsMicros.size() && micros > kLatencyBucketsMicros[bucket])
      ++bucket;
    connect_latency[bucket].Add();
    connect_micros.Add(micros);
  }
};

// Every counter but the buckets, in the order in which they are read: an end is never read without its beginning.
inline constexpr Counter ForwardCounters::*kSingleCounters[] = {
    &ForwardCounters::sessions_closed,         &ForwardCounters::sessions_opened,
    &ForwardCounters::connect_failures,        &ForwardCounters::connect_timeouts,
    &ForwardCounters::connect_retries,         &ForwardCounters::sessions_reset,
    &ForwardCounters::local_failures,          &ForwardCounters::sessions_moved,
    &ForwardCounters::bytes_to_container,      &ForwardCounters::bytes_to_host,
    &ForwardCounters::datagrams_to_container,  &ForwardCounters::datagrams_to_host,
    &ForwardCounters::datagrams_dropped,       &ForwardCounters::datagrams_lost_in_kernel,
    &ForwardCounters::flows_evicted,           &ForwardCounters::flows_displaced,
    &ForwardCounters::accept_pauses,           &ForwardCounters::pipe_fallbacks,
    &ForwardCounters::connect_micros,          &ForwardCounters::proxy_sources_untrusted,
    &ForwardCounters::proxy_headers_malformed, &ForwardCounters::proxy_headers_late,
    &ForwardCounters::sessions_denied,         &ForwardCounters::sessions_over_limit,
    &ForwardCounters::sessions_over_rate,      &ForwardCounters::source_address_fallbacks,
    &ForwardCounters::session_log_dropped,
};

inline void ForwardCounters::Merge(const ForwardCounters& other) {
  for (const auto counter : kSingleCounters)
    (this->*counter).Add((other.*counter).Get());
  for (size_t i = 0; i < connect_latency.size(); ++i)
    connect_latency[i].Add(other.connect_latency[i].Get());
  // Which worker's was the latest of all is not kept.
  if (const int error = other.connect_error.Get(); error != 0) connect_error.Set(error);
}

}  // namespace spliceport
