// The server: one port for TCP, whose connections say what they want (Hello), and the same port for
// UDP. One thread with one level-triggered epoll set: it must cost little beside the forwarder that
// is measured.

#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <string_view>
#include <utility>

#include "counters.h"
#include "epoll.h"
#include "modes.h"
#include "report.h"
#include "socket.h"
#include "udp_server.h"

namespace spliceport::bench {
namespace {

constexpr size_t kScratchBytes = 128 << 10;
constexpr uint64_t kListenerToken = 0;
constexpr uint64_t kUdpToken = 1;
constexpr int kAcceptsPerWake = 64;

// Of the PROXY header that some forwarders send ahead, whole with the first bytes.
size_t ProxyHeaderBytes(std::string_view bytes) {
  constexpr std::string_view kSignature2{"\r\n\r\n\0\r\nQUIT\n", 12};
  if (bytes.starts_with("PROXY ")) return std::min(bytes.find('\n') + 1, bytes.size());
  if (bytes.size() < 16 || !bytes.starts_with(kSignature2)) return 0;
  const auto length = [&](size_t at) {
    return static_cast<size_t>(static_cast<uint8_t>(bytes[at]));
  };
  return std::min(16 + (length(14) << 8 | length(15)), bytes.size());
}

class Connection {
 public:
  Connection(UniqueFd fd, Epoll& epoll, Counters* counters, char* scratch)
      : fd_(std::move(fd)), epoll_(epoll), counters_(counters), scratch_(scratch) {
    epoll_.Add(fd_.get(), EPOLLIN, token());
  }

  uint64_t token() const { return reinterpret_cast<uint64_t>(this); }

  // False when the connection is over.
  bool OnEvent(uint32_t events) {
    if ((events & EPOLLIN) && !Receive()) return false;
    if ((events & EPOLLOUT) && !Send()) return false;
    return !(events & (EPOLLERR | EPOLLHUP));
  }

 private:
  bool Receive() {
    const ssize_t count = recv(fd_.get(), scratch_, kScratchBytes, 0);
    if (count < 0) return errno == EAGAIN;
    if (count == 0) return false;
    const char* bytes = scratch_;
    size_t rest = static_cast<size_t>(count);
    if (std::exchange(is_new_, false)) {
      const size_t header = ProxyHeaderBytes({bytes, rest});
      bytes += header;
      rest -= header;
    }
    const size_t taken = hello_bytes_ < sizeof(hello_) ? TakeHello(bytes, rest) : 0;
    rest -= taken;
    if (hello_bytes_ < sizeof(hello_)) return true;
    switch (hello_.kind) {
      case Hello::kSink:
        spliceport::bench::Add(counters_->tcp_bytes, rest);
        return true;
      case Hello::kSource:
        return Send();
      case Hello::kAnswer:
        return Answer(rest);
      case Hello::kEcho:
        // A client waits for each block, so there is room for it.
        return send(fd_.get(), bytes + taken, rest, MSG_NOSIGNAL) == static_cast<ssize_t>(rest);
      default:
        return false;
    }
  }

  size_t TakeHello(const char* bytes, size_t available) {
    const size_t taken = std::min(available, sizeof(hello_) - hello_bytes_);
    memcpy(reinterpret_cast<char*>(&hello_) + hello_bytes_, bytes, taken);
    hello_bytes_ += taken;
    if (hello_bytes_ == sizeof(hello_) && hello_.kind == Hello::kSource) owed_bytes_ = UINT64_MAX;
    return taken;
  }

  bool Answer(size_t received) {
    request_progress_ += received;
    while (request_progress_ >= hello_.request_bytes) {
      request_progress_ -= hello_.request_bytes;
      owed_bytes_ += hello_.response_bytes;
    }
    return owed_bytes_ == 0 || Send();
  }

  // Sends what is owed, one buffer of it to a source, and asks for EPOLLOUT while some is left.
  bool Send() {
    while (owed_bytes_ > 0) {
      const size_t wanted = std::min<uint64_t>(owed_bytes_, kScratchBytes);
      const ssize_t count = send(fd_.get(), scratch_, wanted, MSG_NOSIGNAL);
      if (count < 0 && errno != EAGAIN) return false;
      if (count < 0) break;
      if (hello_.kind == Hello::kSource) break;
      owed_bytes_ -= static_cast<size_t>(count);
    }
    const bool waits = owed_bytes_ > 0;
    if (waits != wants_output_) {
      wants_output_ = waits;
      epoll_.Change(fd_.get(), waits ? EPOLLIN | EPOLLOUT : EPOLLIN, token());
    }
    return true;
  }

  UniqueFd fd_;
  Epoll& epoll_;
  Counters* const counters_;
  char* const scratch_;  // Shared by all connections: nothing in it outlives a call.
  Hello hello_ = {};
  size_t hello_bytes_ = 0;
  bool is_new_ = true;
  uint64_t request_progress_ = 0;
  uint64_t owed_bytes_ = 0;
  bool wants_output_ = false;
};

}  // namespace

int Serve(Options& options) {
  const Address address = ParseAddress(options.Text("at", "127.0.0.1:5201"));
  Counters* counters = Counters::Create(options.Text("counters", "/dev/shm/spliceport-bench"));
  UdpServer::Settings settings;
  settings.echo = options.Integer("echo", 0) != 0;
  settings.gro = options.Integer("gro", 0) != 0;
  options.RefuseOthers();

  Epoll epoll;
  const UniqueFd listener = ListenTcp(address);
  UdpServer udp(address, settings, counters);
  const auto scratch = std::make_unique<char[]>(kScratchBytes);
  epoll.Add(listener.get(), EPOLLIN, kListenerToken);
  epoll.Add(udp.fd(), EPOLLIN, kUdpToken);
  Report().Print("ready");

  for (;;) {
    for (const epoll_event& event : epoll.Wait()) {
      if (event.data.u64 == kUdpToken) {
        udp.OnReadable();
      } else if (event.data.u64 == kListenerToken) {
        for (int i = 0; i < kAcceptsPerWake; i++) {
          UniqueFd fd(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
          if (!fd) break;
          // Its place in the epoll set owns it, until an event says that it is over.
          new Connection(std::move(fd), epoll, counters, scratch.get());
        }
      } else {
        auto* connection = reinterpret_cast<Connection*>(event.data.u64);
        if (!connection->OnEvent(event.events)) delete connection;
      }
    }
  }
}

}  // namespace spliceport::bench
