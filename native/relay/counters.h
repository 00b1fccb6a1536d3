// counters.h: what one forward did on one worker. The unit is in each name.
// Thread: written by its worker only, read by any; relaxed, since the figures are independent.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>

namespace spliceport {

// A single-writer counter: a plain load and store, where fetch_add would lock the bus.
class Counter {
 public:
  void Add(uint64_t count = 1) { value_.store(Get() + count, std::memory_order_relaxed); }
  uint64_t Get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// The latest errno of its kind; 0: none so far.
class LatestError {
 public:
  void Set(int error) { value_.store(error, std::memory_order_relaxed); }
  int Get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int> value_{0};
};

// Upper bounds of the connect-latency buckets, CONNECT_LATENCY_BUCKETS_MICROS in
// src/types/forward-stats.ts. One more bucket takes the rest.
inline constexpr std::array<uint32_t, 13> kLatencyBucketsMicros = {
    50, 100, 250, 500, 1'000, 2'500, 5'000, 10'000, 25'000, 50'000, 100'000, 250'000, 1'000'000};

struct ForwardCounters {
  Counter sessions_total;
  Counter sessions_closed;
  Counter connect_failures;
  Counter connect_timeouts;
  Counter connect_retries;
  Counter server_waits;
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
  Counter sessions_over_client_limit;
  Counter proxy_sources_untrusted;
  Counter proxy_headers_malformed;
  Counter proxy_headers_late;
  Counter source_address_fallbacks;
  Counter session_log_dropped;
  Counter connect_micros;
  std::array<Counter, kLatencyBucketsMicros.size() + 1> connect_latency;
  // Of the latest connection that failed, except those that had no answer in time.
  LatestError connect_error;

  void Merge(const ForwardCounters& other);

  // Never negative: if another worker ends a session meanwhile, only its end may have been read.
  uint64_t SessionsOpen() const {
    const uint64_t opened = sessions_total.Get();
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

// A counter, and its name in JavaScript (src/spec/counters.ts); null: it is not passed on by
// itself.
struct NamedCounter {
  Counter ForwardCounters::*member;
  const char* name;
};

// Every counter but the buckets, in the order in which they are read: an end is never read without
// its beginning.
inline constexpr NamedCounter kSingleCounters[] = {
    {&ForwardCounters::sessions_closed, nullptr},
    {&ForwardCounters::sessions_total, "sessionsTotal"},
    {&ForwardCounters::connect_failures, "connectFailures"},
    {&ForwardCounters::connect_timeouts, "connectTimeouts"},
    {&ForwardCounters::connect_retries, "connectRetries"},
    {&ForwardCounters::server_waits, "serverWaits"},
    {&ForwardCounters::sessions_reset, "sessionsReset"},
    {&ForwardCounters::local_failures, "localFailures"},
    {&ForwardCounters::sessions_moved, "sessionsMoved"},
    {&ForwardCounters::bytes_to_container, "bytesToContainer"},
    {&ForwardCounters::bytes_to_host, "bytesToHost"},
    {&ForwardCounters::datagrams_to_container, "datagramsToContainer"},
    {&ForwardCounters::datagrams_to_host, "datagramsToHost"},
    {&ForwardCounters::datagrams_dropped, "datagramsDropped"},
    {&ForwardCounters::datagrams_lost_in_kernel, "datagramsLostInKernel"},
    {&ForwardCounters::flows_evicted, "flowsEvicted"},
    {&ForwardCounters::flows_displaced, "flowsDisplaced"},
    {&ForwardCounters::accept_pauses, "acceptPauses"},
    {&ForwardCounters::pipe_fallbacks, "pipeFallbacks"},
    {&ForwardCounters::connect_micros, "connectMicrosTotal"},
    {&ForwardCounters::proxy_sources_untrusted, "proxySourcesUntrusted"},
    {&ForwardCounters::proxy_headers_malformed, "proxyHeadersMalformed"},
    {&ForwardCounters::proxy_headers_late, "proxyHeadersLate"},
    {&ForwardCounters::sessions_denied, "sessionsDenied"},
    {&ForwardCounters::sessions_over_limit, "sessionsOverLimit"},
    {&ForwardCounters::sessions_over_rate, "sessionsOverRate"},
    {&ForwardCounters::sessions_over_client_limit, "sessionsOverClientLimit"},
    {&ForwardCounters::source_address_fallbacks, "sourceAddressFallbacks"},
    {&ForwardCounters::session_log_dropped, "sessionLogDropped"},
};
// With the buckets and the latest error, these are all.
static_assert(sizeof(ForwardCounters) ==
              sizeof(Counter) * (std::size(kSingleCounters) + kLatencyBucketsMicros.size() + 2));

inline void ForwardCounters::Merge(const ForwardCounters& other) {
  for (const auto& [member, name] : kSingleCounters)
    (this->*member).Add((other.*member).Get());
  for (size_t i = 0; i < connect_latency.size(); ++i)
    connect_latency[i].Add(other.connect_latency[i].Get());
  // It is not known which worker's was the latest of all.
  if (const int error = other.connect_error.Get(); error != 0) connect_error.Set(error);
}

}  // namespace spliceport
