// Short connections: N clients, each of which connects, sends a request, takes the response and
// closes, over and over. The client closes first, so that TIME_WAIT stays on its side. With --from,
// each connection is from the next address; with --ports, it is to the next port.

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

// A client that waits longer than this for its turn is stuck, which is an error.
constexpr int64_t kStuckNanos = 2 * kNanosPerSecond;
// From one attempt to the next of a client whose connection failed: a forwarder that is down must
// not be hammered.
constexpr int64_t kRestNanos = kNanosPerMilli;

class ShortConnections {
 public:
  ShortConnections(Options& options, const Address& address, uint32_t message_bytes)
      : window_(options),
        address_(address),
        hello_{Hello::kAnswer, message_bytes, message_bytes},
        request_(sizeof(hello_) + message_bytes) {
    memcpy(request_.data(), &hello_, sizeof(hello_));
  }

  // Connections are from `first` and the addresses after it, one after the other and over again.
  void ComeFrom(const Address& first, uint32_t count) {
    source_ = first;
    sources_ = count;
  }

  // Connections are to the port and those after it, one after the other and over again.
  void Visit(uint32_t ports) { ports_ = ports; }

  void Run(size_t clients) {
    clients_.resize(clients);
    window_.Start();
    for (size_t i = 0; i < clients; i++)
      Begin(i);
    for (bool done = false; !done;) {
      const int64_t timeout =
          resting_ > 0 ? kRestNanos : std::min(window_.next_edge() - Now(), kStuckNanos / 4);
      for (const epoll_event& event : epoll_.Wait(timeout))
        OnEvent(event.data.u64, event.events);
      const int64_t now = Now();
      WakeAndReap(now);
      const Window::Edge edge = window_.Update(now);
      if (edge == Window::Edge::kBegin) {
        latency_.Clear();
        errors_ = 0;
      }
      done = edge == Window::Edge::kEnd;
    }
    Report()
        .Add("seconds", window_.seconds())
        .Add("operations", static_cast<double>(latency_.total()))
        .AddLatency(latency_)
        .Add("slowestMs", static_cast<double>(latency_.Percentile(1)) / kNanosPerMilli)
        .Add("errors", static_cast<double>(errors_))
        .Add("clientCpuSeconds", window_.cpu_seconds())
        .Print();
  }

 private:
  struct Client {
    UniqueFd fd;  // None while it rests.
    int64_t began_at = 0;
    size_t missing_bytes = 0;
    bool asked = false;
  };

  void Begin(size_t index) {
    Client& client = clients_[index];
    client.began_at = Now();
    client.asked = false;
    client.missing_bytes = hello_.response_bytes;
    const Address target = PortAfter(address_, begun_ % ports_);
    client.fd = StartConnectTcp(target, sources_ == 0 ? nullptr : NextSource());
    begun_++;
    if (!client.fd) return Fail(client);
    epoll_.Add(client.fd.get(), EPOLLIN | EPOLLOUT | EPOLLET, index);
  }

  const Address* NextSource() {
    current_ = AddressAfter(source_, begun_ % sources_);
    return &current_;
  }

  void OnEvent(size_t index, uint32_t events) {
    Client& client = clients_[index];
    if (!client.asked && (events & EPOLLOUT) && !(events & EPOLLERR)) {
      const ssize_t count = send(client.fd.get(), request_.data(), request_.size(), MSG_NOSIGNAL);
      if (count != static_cast<ssize_t>(request_.size())) return Fail(client);
      client.asked = true;
    }
    if (!(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
    while (client.missing_bytes > 0) {
      char scratch[4096];
      const size_t wanted = std::min(client.missing_bytes, sizeof(scratch));
      const ssize_t count = recv(client.fd.get(), scratch, wanted, 0);
      if (count < 0 && errno == EAGAIN) return;
      if (count <= 0) return Fail(client);
      client.missing_bytes -= static_cast<size_t>(count);
    }
    client.fd.Reset();
    latency_.Record(Now() - client.began_at);
    Begin(index);
  }

  void Fail(Client& client) {
    errors_++;
    resting_++;
    client.fd.Reset();
  }

  // Lets clients that failed try again after their rest, and gives up on those that are stuck.
  void WakeAndReap(int64_t now) {
    if (resting_ == 0 && now < next_reap_) return;
    if (now >= next_reap_) next_reap_ = now + kStuckNanos / 4;
    resting_ = 0;
    for (size_t i = 0; i < clients_.size(); i++) {
      const int64_t age = now - clients_[i].began_at;
      if (clients_[i].fd && age > kStuckNanos) {
        Fail(clients_[i]);
      } else if (!clients_[i].fd && age > kRestNanos) {
        Begin(i);
      } else if (!clients_[i].fd) {
        resting_++;
      }
    }
  }

  Window window_;
  const Address address_;
  Address source_;
  Address current_;
  uint32_t sources_ = 0;
  uint32_t ports_ = 1;
  uint32_t begun_ = 0;
  const Hello hello_;
  std::vector<char> request_;
  Epoll epoll_;
  std::vector<Client> clients_;
  Histogram latency_;
  uint64_t errors_ = 0;
  size_t resting_ = 0;
  int64_t next_reap_ = 0;
};

}  // namespace

int ConnectRequestResponse(Options& options) {
  const Address address = ParseAddress(options.Text("to", ""));
  const auto clients = static_cast<size_t>(options.Integer("clients", 16));
  ShortConnections run(options, address, static_cast<uint32_t>(options.Integer("bytes", 64)));
  const std::string from = options.Text("from", "");
  const auto sources = static_cast<uint32_t>(options.Integer("addresses", 1));
  run.Visit(static_cast<uint32_t>(options.Integer("ports", 1)));
  options.RefuseOthers();
  if (!from.empty()) run.ComeFrom(ParseAddress(from + ":0"), sources);
  run.Run(clients);
  return 0;
}

}  // namespace spliceport::bench
