// Bulk: N streams in one direction, as fast as they go. The rate is counted where the bytes arrive.

#include <memory>
#include <vector>

#include "counters.h"
#include "epoll.h"
#include "modes.h"
#include "report.h"
#include "socket.h"
#include "window.h"

namespace spliceport::bench {
namespace {

constexpr size_t kBufferBytes = 128 << 10;  // As iperf3.

class BulkRun {
 public:
  BulkRun(Options& options, bool to_container)
      : window_(options),
        counters_(Counters::Open(options.Text("counters", ""))),
        up_(to_container) {}

  void Connect(const Address& address, int64_t streams) {
    const Hello hello = {up_ ? Hello::kSink : Hello::kSource, 0, 0};
    for (int64_t i = 0; i < streams; i++) {
      UniqueFd fd = ConnectTcp(address);
      if (send(fd.get(), &hello, sizeof(hello), MSG_NOSIGNAL) != sizeof(hello)) Die("send");
      epoll_.Add(fd.get(), up_ ? EPOLLOUT : EPOLLIN, streams_.size());
      streams_.push_back(std::move(fd));
    }
  }

  void Run() {
    window_.Start();
    uint64_t begin_bytes = 0;
    for (bool done = false; !done;) {
      for (const epoll_event& event : epoll_.Wait(window_.next_edge() - Now()))
        Move(event.data.u64);
      switch (window_.Update(Now())) {
        case Window::Edge::kNone:
          break;
        case Window::Edge::kBegin:
          begin_bytes = Arrived();
          break;
        case Window::Edge::kEnd:
          done = true;
      }
    }
    const double bytes = static_cast<double>(Arrived() - begin_bytes);
    Report()
        .Add("seconds", window_.seconds())
        .Add("bytes", bytes)
        .Add("errors", static_cast<double>(errors_))
        .Add("clientCpuSeconds", window_.cpu_seconds())
        .Print();
  }

 private:
  uint64_t Arrived() const { return up_ ? Get(counters_->tcp_bytes) : received_bytes_; }

  void Move(uint64_t index) {
    const int fd = streams_[index].get();
    const ssize_t count = up_ ? send(fd, buffer_.get(), kBufferBytes, MSG_NOSIGNAL)
                              : recv(fd, buffer_.get(), kBufferBytes, 0);
    if (count > 0) {
      if (!up_) received_bytes_ += static_cast<uint64_t>(count);
    } else if (count == 0 || errno != EAGAIN) {
      errors_++;
      streams_[index].Reset();
    }
  }

  Window window_;
  Counters* const counters_;
  const bool up_;
  Epoll epoll_;
  std::vector<UniqueFd> streams_;
  std::unique_ptr<char[]> buffer_ = std::make_unique<char[]>(kBufferBytes);
  uint64_t received_bytes_ = 0;
  uint64_t errors_ = 0;
};

}  // namespace

int Bulk(Options& options) {
  const Address address = ParseAddress(options.Text("to", ""));
  const int64_t streams = options.Integer("streams", 1);
  const bool to_container = options.Text("direction", "up") == "up";
  BulkRun run(options, to_container);
  options.RefuseOthers();
  run.Connect(address, streams);
  run.Run();
  return 0;
}

}  // namespace spliceport::bench
