// delay-link: a link with a long round trip between two network namespaces, for kernels without
// netem.
//
// Usage: delay-link --a NETNS --b NETNS --rtt-ms N [--rate-mbps N] [--queue-mib N]
//
// A TUN device called `far0` in either namespace; what one is given leaves the other after half the
// round trip. It prints a line when both are there; numbering them and setting them up is the
// caller's work. It ends when standard input does.
//
// Theory of operation. Each direction is a first-in-first-out queue of packets with the time at
// which each is due. A packet leaves the bottleneck when the one before it has left and its own
// bytes have been sent at the link's rate, and arrives half a round trip later. Since all wait for
// equally long, the head of the queue is always the next due. The devices offload segmentation and
// checksums (virtio_net_hdr), so a packet is up to 64 KiB of one TCP stream with the segment size
// in its header: one read and one write for dozens of segments, which is what carries gigabits. The
// queue is bounded by bytes; what does not fit is dropped, as by any router.

#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <deque>
#include <memory>
#include <string>

#include "load/base.h"
#include "load/options.h"

namespace spliceport::bench {
namespace {

constexpr size_t kMaxPacketBytes = 65'536 + 256;  // A whole IP packet and the header before it.
constexpr int kPacketsPerTurn = 64;

// The device stays in the namespace, the descriptor works from anywhere.
UniqueFd OpenDevice(const std::string& netns_path) {
  UniqueFd netns(Must(open(netns_path.c_str(), O_RDONLY | O_CLOEXEC), netns_path.c_str()));
  Must(setns(netns.get(), CLONE_NEWNET), "setns");
  UniqueFd device(Must(open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), "/dev/net/tun"));
  ifreq request = {};
  strncpy(request.ifr_name, "far0", IFNAMSIZ - 1);
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  Must(ioctl(device.get(), TUNSETIFF, &request), "TUNSETIFF");
  Must(ioctl(device.get(), TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6), "TUNSETOFFLOAD");
  return device;
}

struct Settings {
  int64_t one_way_nanos;
  double nanos_per_byte;  // 0: as fast as it goes.
  size_t queue_bytes;
};

// One direction. Borrows both devices.
class Lane {
 public:
  Lane(int from, int to, const Settings& settings) : from_(from), to_(to), settings_(settings) {}

  int from() const { return from_; }

  // Takes what is waiting, up to a bound that keeps the other direction going.
  void Take(int64_t now) {
    for (int i = 0; i < kPacketsPerTurn; i++) {
      const ssize_t count = read(from_, scratch_.get(), kMaxPacketBytes);
      if (count <= 0) return;
      Enqueue(static_cast<size_t>(count), now);
    }
  }

  void Deliver(int64_t now) {
    while (!queue_.empty() && queue_.front().due <= now) {
      const Packet& packet = queue_.front();
      // A full device drops it, as the bounded queue would.
      if (write(to_, packet.bytes.get(), packet.length) < 0) dropped_++;
      queued_bytes_ -= packet.length;
      queue_.pop_front();
    }
  }

  int64_t next_due() const { return queue_.empty() ? INT64_MAX : queue_.front().due; }
  uint64_t dropped() const { return dropped_; }

 private:
  struct Packet {
    int64_t due;
    size_t length;
    std::unique_ptr<char[]> bytes;
  };

  void Enqueue(size_t length, int64_t now) {
    if (queued_bytes_ + length > settings_.queue_bytes) {
      dropped_++;
      return;
    }
    const auto sending =
        static_cast<int64_t>(settings_.nanos_per_byte * static_cast<double>(length));
    free_at_ = std::max(free_at_, now) + sending;
    auto bytes = std::make_unique_for_overwrite<char[]>(length);
    memcpy(bytes.get(), scratch_.get(), length);
    queue_.push_back({free_at_ + settings_.one_way_nanos, length, std::move(bytes)});
    queued_bytes_ += length;
  }

  const int from_;
  const int to_;
  const Settings settings_;
  std::unique_ptr<char[]> scratch_ = std::make_unique<char[]>(kMaxPacketBytes);
  std::deque<Packet> queue_;
  size_t queued_bytes_ = 0;
  int64_t free_at_ = 0;  // When the bottleneck has sent all that it was given.
  uint64_t dropped_ = 0;
};

timespec Timeout(int64_t nanos) {
  nanos = std::max<int64_t>(nanos, 0);
  return {nanos / kNanosPerSecond, nanos % kNanosPerSecond};
}

void Run(Lane& there, Lane& back) {
  pollfd waits[] = {{there.from(), POLLIN, 0}, {back.from(), POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
  while (waits[2].revents == 0) {
    const int64_t due = std::min(there.next_due(), back.next_due());
    const timespec timeout = Timeout(due - Now());
    Must(ppoll(waits, std::size(waits), due == INT64_MAX ? nullptr : &timeout, nullptr), "ppoll");
    const int64_t now = Now();
    if (waits[0].revents != 0) there.Take(now);
    if (waits[1].revents != 0) back.Take(now);
    there.Deliver(now);
    back.Deliver(now);
  }
}

int Main(int argc, char** argv) {
  Options options(argc - 1, argv + 1);
  const std::string a = options.Text("a", "");
  const std::string b = options.Text("b", "");
  const double rate_mbps = options.Number("rate-mbps", 0);
  const Settings settings = {
      static_cast<int64_t>(options.Number("rtt-ms", 20) / 2 * kNanosPerMilli),
      rate_mbps == 0 ? 0 : 8e3 / rate_mbps,
      static_cast<size_t>(options.Integer("queue-mib", 64)) << 20,
  };
  options.RefuseOthers();
  const UniqueFd device_a = OpenDevice(a);
  const UniqueFd device_b = OpenDevice(b);
  Lane there(device_a.get(), device_b.get(), settings);
  Lane back(device_b.get(), device_a.get(), settings);
  printf("{\"event\":\"ready\"}\n");
  fflush(stdout);
  Run(there, back);
  printf("{\"event\":\"end\",\"dropped\":%llu}\n",
         static_cast<unsigned long long>(there.dropped() + back.dropped()));
  return 0;
}

}  // namespace
}  // namespace spliceport::bench

int main(int argc, char** argv) { return spliceport::bench::Main(argc, argv); }
