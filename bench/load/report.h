// report.h: the JSON lines that the runner reads from standard output. `{"event":"begin"}` when the
// measured window opens, `settle` when it closes (the runner samples the forwarder's processor time
// at both), and then `end` with the figures.
#pragma once

#include <stdint.h>
#include <stdio.h>

#include <string>

#include "histogram.h"

namespace spliceport::bench {

class Report {
 public:
  Report& Add(const char* name, double value) {
    char text[96];
    snprintf(text, sizeof(text), ",\"%s\":%.9g", name, value);
    body_ += text;
    return *this;
  }

  Report& AddLatency(const Histogram& histogram) {
    if (histogram.total() == 0) return *this;
    Add("p50Micros", static_cast<double>(histogram.Percentile(0.5)) / 1e3);
    return Add("p99Micros", static_cast<double>(histogram.Percentile(0.99)) / 1e3);
  }

  void Print(const char* event = "end") const {
    printf("{\"event\":\"%s\"%s}\n", event, body_.c_str());
    fflush(stdout);
  }

 private:
  std::string body_;
};

}  // namespace spliceport::bench
