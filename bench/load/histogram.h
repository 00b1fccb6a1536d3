// histogram.h: latencies in buckets that are 1/64 as wide as their value, so a percentile is right
//              to 1.6 %.
// Unit: nanoseconds, 0 to 2^63. Recording is two shifts and an increment.
#pragma once

#include <stdint.h>

#include <bit>
#include <vector>

namespace spliceport::bench {

class Histogram {
 public:
  Histogram() : counts_((64 - kSubBits) << kSubBits) {}

  void Record(int64_t nanos) {
    counts_[IndexOf(nanos < 0 ? 0 : static_cast<uint64_t>(nanos))]++;
    total_++;
  }

  void Clear() {
    counts_.assign(counts_.size(), 0);
    total_ = 0;
  }

  uint64_t total() const { return total_; }

  // The value that the given share (0 to 1) of all recorded values does not exceed.
  int64_t Percentile(double share) const {
    const auto wanted = static_cast<uint64_t>(share * static_cast<double>(total_));
    uint64_t seen = 0;
    for (size_t i = 0; i < counts_.size(); i++) {
      seen += counts_[i];
      if (seen > wanted || (seen == total_ && seen > 0)) return MiddleOf(i);
    }
    return 0;
  }

 private:
  static constexpr int kSubBits = 6;

  // Values below 64 have a bucket each; above, the 6 bits behind the leading one choose the bucket.
  static size_t IndexOf(uint64_t value) {
    if (value < (1u << kSubBits)) return value;
    const int shift = std::bit_width(value) - 1 - kSubBits;
    return (static_cast<size_t>(shift + 1) << kSubBits) + ((value >> shift) - (1u << kSubBits));
  }

  static int64_t MiddleOf(size_t index) {
    const size_t group = index >> kSubBits;
    if (group == 0) return static_cast<int64_t>(index);
    const uint64_t leading = (1u << kSubBits) + (index & ((1u << kSubBits) - 1));
    const uint64_t width = uint64_t{1} << (group - 1);
    return static_cast<int64_t>(leading * width + width / 2);
  }

  std::vector<uint64_t> counts_;
  uint64_t total_ = 0;
};

}  // namespace spliceport::bench
