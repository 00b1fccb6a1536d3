// Datagrams in one direction: flooded or at a given pace, from one socket or many, one by one or by
// segmentation offload. What has arrived is counted by the server. The queues between are empty at
// both edges of the window, so that what was sent and did not arrive was lost.

#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <vector>

#include "counters.h"
#include "modes.h"
#include "report.h"
#include "socket.h"
#include "window.h"

namespace spliceport::bench {
namespace {

constexpr size_t kBurst = 8;
constexpr size_t kMaxDatagramBytes = 65'507;
constexpr size_t kMaxSegments = 64;  // @see UDP_MAX_SEGMENTS of the kernel
constexpr int64_t kPaceStepNanos = 100'000;
constexpr int64_t kSettleNanos = 30 * kNanosPerMilli;
// New flows are introduced no faster than this, so that the load that is measured is not the making
// of flows.
constexpr double kIntroductionsPerSecond = 20'000;

void SleepUntil(int64_t time) {
  const timespec until = {time / kNanosPerSecond, time % kNanosPerSecond};
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
}

class Sender {
 public:
  Sender(const Address& address, size_t flows, size_t datagram_bytes, bool segmentation)
      : segments_(segmentation ? std::min(kMaxSegments, kMaxDatagramBytes / datagram_bytes) : 1),
        payload_(datagram_bytes * segments_) {
    part_ = {payload_.data(), payload_.size()};
    for (mmsghdr& message : messages_) {
      message = {};
      message.msg_hdr.msg_iov = &part_;
      message.msg_hdr.msg_iovlen = 1;
    }
    for (size_t i = 0; i < flows; i++) {
      sockets_.push_back(ConnectUdp(address));
      const int fd = sockets_.back().get();
      if (flows == 1) GrowBuffers(fd);
      if (segmentation) {
        SetOption(fd, SOL_UDP, UDP_SEGMENT, static_cast<int>(datagram_bytes), "UDP_SEGMENT");
      }
    }
  }

  size_t flows() const { return sockets_.size(); }
  size_t segments() const { return segments_; }
  uint64_t sent() const { return sent_; }
  uint64_t refused() const { return refused_; }

  // Sends at most kBurst messages from the next socket in turn; each is as many datagrams as there
  // are segments.
  void SendBurst(size_t messages) {
    const int fd = sockets_[next_].get();
    next_ = next_ + 1 == sockets_.size() ? 0 : next_ + 1;
    const int count = sendmmsg(fd, messages_.data(), std::min(messages, kBurst), 0);
    if (count > 0) sent_ += static_cast<uint64_t>(count) * segments_;
    if (count < 0) refused_++;
  }

 private:
  const size_t segments_;
  std::vector<char> payload_;
  iovec part_;
  std::array<mmsghdr, kBurst> messages_;
  std::vector<UniqueFd> sockets_;
  size_t next_ = 0;
  uint64_t sent_ = 0;
  uint64_t refused_ = 0;
};

// Sends until the time is over; a rate of 0 means without a pause.
void SendFor(Sender& sender, int64_t nanos, double per_second) {
  const int64_t begin = Now();
  const int64_t end = begin + nanos;
  if (per_second == 0) {
    while (Now() < end)
      sender.SendBurst(kBurst);
    return;
  }
  const uint64_t before = sender.sent() + sender.refused();
  for (int64_t now = begin; now < end; now = Now()) {
    const auto due = static_cast<uint64_t>(static_cast<double>(now - begin) / 1e9 * per_second);
    while (sender.sent() + sender.refused() - before < due) {
      const uint64_t missing = due - (sender.sent() + sender.refused() - before);
      sender.SendBurst((missing + sender.segments() - 1) / sender.segments());
    }
    SleepUntil(now + kPaceStepNanos);
  }
}

void Introduce(Sender& sender) {
  int64_t due = Now();
  for (size_t i = 0; i < sender.flows(); i++) {
    sender.SendBurst(1);
    due += static_cast<int64_t>(kNanosPerSecond / kIntroductionsPerSecond);
    if (i % 16 == 0) SleepUntil(due);
  }
}

}  // namespace

int SendUdp(Options& options) {
  const Address address = ParseAddress(options.Text("to", ""));
  const auto flows = static_cast<size_t>(options.Integer("flows", 1));
  const auto bytes = static_cast<size_t>(options.Integer("bytes", 1'400));
  const double rate = options.Number("rate", 0);
  const bool segmentation = options.Integer("gso", 0) != 0;
  const auto warmup = static_cast<int64_t>(options.Number("warmup", 0.2) * kNanosPerSecond);
  const auto length = static_cast<int64_t>(options.Number("seconds", 1) * kNanosPerSecond);
  const Counters* counters = Counters::Open(options.Text("counters", ""));
  Window window(options);
  options.RefuseOthers();

  Sender sender(address, flows, bytes, segmentation);
  if (flows > 1) Introduce(sender);
  SendFor(sender, warmup, rate);
  SleepUntil(Now() + kSettleNanos);

  const uint64_t sent_before = sender.sent();
  const uint64_t arrived_before = Get(counters->udp_datagrams);
  window.Begin();
  SendFor(sender, length, rate);
  const uint64_t arrived_in_window = Get(counters->udp_datagrams) - arrived_before;
  window.End();
  SleepUntil(Now() + kSettleNanos);
  const auto sent = static_cast<double>(sender.sent() - sent_before);
  const auto arrived = static_cast<double>(Get(counters->udp_datagrams) - arrived_before);
  Report()
      .Add("seconds", window.seconds())
      .Add("operations", static_cast<double>(arrived_in_window))
      .Add("sent", sent)
      .Add("lost", std::max(0.0, sent - arrived))
      .Add("errors", static_cast<double>(sender.refused()))
      .Add("clientCpuSeconds", window.cpu_seconds())
      .Print();
  return 0;
}

}  // namespace spliceport::bench
