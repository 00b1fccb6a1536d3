// Live sessions whose content is compared: each sends a block of its own and expects the same back,
// over and over, until standard input ends. A session that breaks, stalls or brings other bytes is
// broken for good.

#include <poll.h>

#include <vector>

#include "modes.h"
#include "report.h"
#include "socket.h"

namespace spliceport::bench {
namespace {

constexpr int kAnswerTimeoutMillis = 2'000;

class EchoSession {
 public:
  EchoSession(const Address& address, size_t block_bytes, uint64_t seed)
      : fd_(ConnectTcp(address)), state_(seed + 1), sent_(block_bytes), received_(block_bytes) {
    const Hello hello = {Hello::kEcho, 0, 0};
    if (send(fd_.get(), &hello, sizeof(hello), MSG_NOSIGNAL) != sizeof(hello)) Die("send");
  }

  bool broken() const { return !fd_; }

  void Ask() {
    if (broken()) return;
    for (char& byte : sent_) {
      // xorshift64: no two blocks of a run are alike.
      state_ ^= state_ << 13;
      state_ ^= state_ >> 7;
      state_ ^= state_ << 17;
      byte = static_cast<char>(state_);
    }
    const ssize_t count = send(fd_.get(), sent_.data(), sent_.size(), MSG_NOSIGNAL);
    if (count != static_cast<ssize_t>(sent_.size())) fd_.Reset();
  }

  void Compare() {
    for (size_t have = 0; !broken() && have < received_.size();) {
      pollfd wait = {fd_.get(), POLLIN, 0};
      const ssize_t count =
          poll(&wait, 1, kAnswerTimeoutMillis) == 1
              ? recv(fd_.get(), received_.data() + have, received_.size() - have, 0)
              : -1;
      if (count <= 0) return fd_.Reset();
      have += static_cast<size_t>(count);
    }
    if (received_ != sent_) fd_.Reset();
  }

 private:
  UniqueFd fd_;
  uint64_t state_;
  std::vector<char> sent_;
  std::vector<char> received_;
};

}  // namespace

int Echo(Options& options) {
  const Address address = ParseAddress(options.Text("to", ""));
  const auto sessions = static_cast<uint32_t>(options.Integer("sessions", 1));
  const auto ports = static_cast<uint32_t>(options.Integer("ports", 1));
  const auto bytes = static_cast<size_t>(options.Integer("bytes", 1'024));
  const auto pause_millis = static_cast<int>(options.Integer("pause-ms", 2));
  options.RefuseOthers();

  std::vector<EchoSession> live;
  for (uint32_t i = 0; i < sessions; i++)
    live.emplace_back(PortAfter(address, i % ports), bytes, i);
  double blocks = 0;
  Report().Print("begin");
  // Standard input becomes readable at its end.
  for (pollfd input = {STDIN_FILENO, POLLIN, 0}; poll(&input, 1, pause_millis) == 0; blocks++) {
    for (EchoSession& session : live)
      session.Ask();
    for (EchoSession& session : live)
      session.Compare();
  }
  double broken = 0;
  for (const EchoSession& session : live)
    broken += session.broken() ? 1 : 0;
  Report().Add("held", sessions).Add("blocks", blocks).Add("broken", broken).Print();
  return 0;
}

}  // namespace spliceport::bench
