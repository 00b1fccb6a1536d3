// Request and response over TCP connections that stay open: each has one request under way at any
// time.

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

class RequestRun {
 public:
  RequestRun(Options& options, size_t message_bytes)
      : window_(options), message_bytes_(message_bytes), buffer_(new char[message_bytes]()) {}

  void Connect(const Address& address, int64_t connections) {
    const auto size = static_cast<uint32_t>(message_bytes_);
    const Hello hello = {Hello::kAnswer, size, size};
    for (int64_t i = 0; i < connections; i++) {
      Client client = {ConnectTcp(address)};
      if (send(client.fd.get(), &hello, sizeof(hello), MSG_NOSIGNAL) != sizeof(hello)) Die("send");
      epoll_.Add(client.fd.get(), EPOLLIN, clients_.size());
      clients_.push_back(std::move(client));
    }
  }

  void Run() {
    window_.Start();
    for (size_t i = 0; i < clients_.size(); i++)
      Ask(i);
    for (bool done = false; !done;) {
      for (const epoll_event& event : epoll_.Wait(window_.next_edge() - Now())) {
        OnEvent(event.data.u64, event.events);
      }
      const Window::Edge edge = window_.Update(Now());
      if (edge == Window::Edge::kBegin) latency_.Clear();
      done = edge == Window::Edge::kEnd;
    }
    Report()
        .Add("seconds", window_.seconds())
        .Add("operations", static_cast<double>(latency_.total()))
        .AddLatency(latency_)
        .Add("errors", static_cast<double>(errors_))
        .Add("clientCpuSeconds", window_.cpu_seconds())
        .Print();
  }

 private:
  struct Client {
    UniqueFd fd;
    int64_t asked_at = 0;
    size_t unsent_bytes = 0;
    size_t missing_bytes = 0;
    bool wants_output = false;
  };

  void Ask(size_t index) {
    Client& client = clients_[index];
    client.asked_at = Now();
    client.unsent_bytes = message_bytes_;
    client.missing_bytes = message_bytes_;
    Send(index);
  }

  void Send(size_t index) {
    Client& client = clients_[index];
    const ssize_t count = send(client.fd.get(), buffer_.get(), client.unsent_bytes, MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN) return Fail(client);
    if (count > 0) client.unsent_bytes -= static_cast<size_t>(count);
    const bool waits = client.unsent_bytes > 0;
    if (waits == client.wants_output) return;
    client.wants_output = waits;
    epoll_.Change(client.fd.get(), waits ? EPOLLIN | EPOLLOUT : EPOLLIN, index);
  }

  void OnEvent(size_t index, uint32_t events) {
    Client& client = clients_[index];
    if ((events & EPOLLOUT) && client.unsent_bytes > 0) Send(index);
    if (!client.fd || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR))) return;
    const ssize_t count = recv(client.fd.get(), buffer_.get(), client.missing_bytes, 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) return Fail(client);
    client.missing_bytes -= static_cast<size_t>(count);
    if (client.missing_bytes > 0) return;
    latency_.Record(Now() - client.asked_at);
    Ask(index);
  }

  void Fail(Client& client) {
    errors_++;
    client.fd.Reset();
  }

  Window window_;
  const size_t message_bytes_;
  std::unique_ptr<char[]> buffer_;
  Epoll epoll_;
  std::vector<Client> clients_;
  Histogram latency_;
  uint64_t errors_ = 0;
};

}  // namespace

int RequestResponse(Options& options) {
  const Address address = ParseAddress(options.Text("to", ""));
  const int64_t connections = options.Integer("connections", 1);
  RequestRun run(options, static_cast<size_t>(options.Integer("bytes", 1)));
  options.RefuseOthers();
  run.Connect(address, connections);
  run.Run();
  return 0;
}

}  // namespace spliceport::bench
