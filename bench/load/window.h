// window.h: the measured stretch of a run: warm-up, then the window, then done. The loop calls
// Update with the present time; Begin and End happen once each, at the first call past their time.
#pragma once

#include <sys/resource.h>

#include "base.h"
#include "options.h"
#include "report.h"

namespace spliceport::bench {

class Window {
 public:
  enum class Edge : uint8_t { kNone, kBegin, kEnd };

  explicit Window(Options& options)
      : warmup_nanos_(static_cast<int64_t>(options.Number("warmup", 0.2) * kNanosPerSecond)),
        length_nanos_(static_cast<int64_t>(options.Number("seconds", 1) * kNanosPerSecond)) {}

  // Starts the warm-up.
  void Start() { next_edge_ = Now() + warmup_nanos_; }

  Edge Update(int64_t now) {
    if (now < next_edge_) return Edge::kNone;
    if (begin_ == 0) {
      Begin();
      return Edge::kBegin;
    }
    End();
    return Edge::kEnd;
  }

  // The same edges for a caller that keeps its own time.
  void Begin() {
    Report().Print("begin");
    begin_ = Now();
    next_edge_ = begin_ + length_nanos_;
    cpu_begin_ = CpuSeconds();
  }
  // Lets the runner look at the forwarder before the connections close, which ends processes of
  // some.
  void End() {
    seconds_ = static_cast<double>(Now() - begin_) / kNanosPerSecond;
    cpu_seconds_ = CpuSeconds() - cpu_begin_;
    Report().Print("settle");
    const timespec settle = {0, 20 * kNanosPerMilli};
    nanosleep(&settle, nullptr);
  }

  bool open() const { return begin_ != 0; }
  int64_t next_edge() const { return next_edge_; }
  // Both are of the window that has ended.
  double seconds() const { return seconds_; }
  double cpu_seconds() const { return cpu_seconds_; }

 private:
  static double CpuSeconds() {
    rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  }

  const int64_t warmup_nanos_;
  const int64_t length_nanos_;
  int64_t next_edge_ = 0;
  int64_t begin_ = 0;
  double seconds_ = 0;
  double cpu_seconds_ = 0;
  double cpu_begin_ = 0;
};

}  // namespace spliceport::bench
