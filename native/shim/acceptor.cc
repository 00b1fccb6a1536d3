#include "shim/acceptor.h"

#include <unistd.h>

#include "base/errno_text.h"
#include "net/unix_socket.h"

namespace spliceport::shim {

namespace {

// A socket that cannot be accepted from stays readable.
constexpr int64_t kPauseMillis = 100;

std::string StrangerAt(int fd) {
  auto peer = CredentialsOfPeer(fd);
  if (!peer.ok()) return "it cannot be told who you are: " + ErrnoText(-peer.error().code);
  const unsigned uid = peer.value().uid;
  const unsigned own = geteuid();
  if (uid == own || uid == 0) return "";
  return "this socket is for user " + std::to_string(own) + " and root, and you are user " +
         std::to_string(uid);
}

}  // namespace

Acceptor::Acceptor(Loop& loop, std::function<void()> on_clients)
    : watch_(loop, [act = std::move(on_clients)](uint32_t /*events*/) { act(); }),
      pause_(loop, [this] { Resume(); }) {}

void Acceptor::Open(UniqueFd listener) {
  Close();
  listener_ = std::move(listener);
  Resume();
}

void Acceptor::Close() {
  Pause();
  listener_.Reset();
}

std::optional<Acceptor::Client> Acceptor::Accept() {
  Client client;
  const Io io = AcceptUnix(listener_.get(), client.fd);
  if (io.failed()) {
    Pause();
    pause_.Set(kPauseMillis);
  }
  if (!io.moved()) return std::nullopt;
  client.stranger = StrangerAt(client.fd.get());
  return client;
}

void Acceptor::Pause() {
  pause_.Cancel();
  watch_.Stop();
}

void Acceptor::Resume() {
  if (!listener_.valid() || watch_.active()) return;
  if (!watch_.Start(listener_.get(), EPOLLIN).ok()) pause_.Set(kPauseMillis);
}

}  // namespace spliceport::shim
