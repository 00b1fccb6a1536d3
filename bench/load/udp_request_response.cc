// Request and response by datagrams: N clients with a socket each, and up to `depth` requests under
// way per client (more than one makes it a window-driven bulk flow in both directions, as QUIC and
// WireGuard are). A request that is not answered in time is lost, and another takes its place.

#include <memory>
#include <vector>

#include "epoll.h"
#include "histogram.h"
#include "modes.h"
#include "report.h"
#include "socket.h"
#include "window.h"

namespace spliceport::bench {
namespace {

constexpr int64_t kLostNanos = 200 * kNanosPerMilli;
constexpr int64_t kSweepNanos = 50 * kNanosPerMilli;
constexpr size_t kMaxDatagramBytes = 65'507;

// The head of every datagram. `slot` is which of the client's requests this is, `serial` how often
// it was used.
struct Head {
  uint32_t slot;
  uint32_t serial;
};

class DatagramRun {
 public:
  DatagramRun(Options& options, size_t message_bytes, size_t depth)
      : window_(options),
        message_bytes_(std::max(message_bytes, sizeof(Head))),
        depth_(depth),
        buffer_(new char[kMaxDatagramBytes]()) {}

  void Connect(const Address& address, int64_t clients) {
    for (int64_t i = 0; i < clients; i++) {
      Client client = {ConnectUdp(address), std::vector<Request>(depth_)};
      GrowBuffers(client.fd.get());
      epoll_.Add(client.fd.get(), EPOLLIN, clients_.size());
      clients_.push_back(std::move(client));
    }
  }

  void Run() {
    window_.Start();
    for (Client& client : clients_) {
      for (size_t slot = 0; slot < depth_; slot++)
        Ask(client, slot);
    }
    int64_t next_sweep = Now() + kSweepNanos;
    for (bool done = false; !done;) {
      const int64_t wake = std::min(next_sweep, window_.next_edge());
      for (const epoll_event& event : epoll_.Wait(wake - Now()))
        Receive(clients_[event.data.u64]);
      const int64_t now = Now();
      if (now >= next_sweep) {
        Sweep(now);
        next_sweep = now + kSweepNanos;
      }
      const Window::Edge edge = window_.Update(now);
      if (edge == Window::Edge::kBegin) {
        latency_.Clear();
        lost_ = 0;
      }
      done = edge == Window::Edge::kEnd;
    }
    Print();
  }

 private:
  struct Request {
    int64_t asked_at = 0;
    uint32_t serial = 0;
  };
  struct Client {
    UniqueFd fd;
    std::vector<Request> requests;
  };

  void Ask(Client& client, size_t slot) {
    Request& request = client.requests[slot];
    const Head head = {static_cast<uint32_t>(slot), ++request.serial};
    request.asked_at = Now();
    memcpy(buffer_.get(), &head, sizeof(head));
    // A refusal (of an earlier datagram, or for want of room) is a lost request: the sweep finds
    // it.
    (void)send(client.fd.get(), buffer_.get(), message_bytes_, MSG_NOSIGNAL);
  }

  void Receive(Client& client) {
    for (size_t i = 0; i < depth_; i++) {
      const ssize_t count = recv(client.fd.get(), buffer_.get(), kMaxDatagramBytes, 0);
      if (count < static_cast<ssize_t>(sizeof(Head))) return;
      Head head;
      memcpy(&head, buffer_.get(), sizeof(head));
      if (head.slot >= depth_ || client.requests[head.slot].serial != head.serial) continue;
      latency_.Record(Now() - client.requests[head.slot].asked_at);
      Ask(client, head.slot);
    }
  }

  void Sweep(int64_t now) {
    for (Client& client : clients_) {
      for (size_t slot = 0; slot < depth_; slot++) {
        if (now - client.requests[slot].asked_at < kLostNanos) continue;
        lost_++;
        Ask(client, slot);
      }
    }
  }

  void Print() const {
    const auto answered = static_cast<double>(latency_.total());
    Report()
        .Add("seconds", window_.seconds())
        .Add("operations", answered)
        .AddLatency(latency_)
        .Add("sent", answered + static_cast<double>(lost_))
        .Add("lost", static_cast<double>(lost_))
        .Add("clientCpuSeconds", window_.cpu_seconds())
        .Print();
  }

  Window window_;
  const size_t message_bytes_;
  const size_t depth_;
  std::unique_ptr<char[]> buffer_;
  Epoll epoll_;
  std::vector<Client> clients_;
  Histogram latency_;
  uint64_t lost_ = 0;
};

}  // namespace

int UdpRequestResponse(Options& options) {
  const Address address = ParseAddress(options.Text("to", ""));
  const int64_t clients = options.Integer("clients", 16);
  const auto bytes = static_cast<size_t>(options.Integer("bytes", 64));
  const auto depth = static_cast<size_t>(options.Integer("depth", 1));
  DatagramRun run(options, bytes, depth);
  options.RefuseOthers();
  run.Connect(address, clients);
  run.Run();
  return 0;
}

}  // namespace spliceport::bench
