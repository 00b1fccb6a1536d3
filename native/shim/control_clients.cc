#include "shim/control_clients.h"

#include <unistd.h>

#include <utility>

namespace spliceport::shim {

namespace {

// A text of this project's own, without anything that JSON writes otherwise.
std::string RawAnswer(const std::string& status, const std::string& message) {
  const std::string body = R"({"message":")" + message + "\"}\n";
  return "HTTP/1.1 " + status +
         "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\nConnection: close\r\n\r\n" + body;
}

}  // namespace

ControlClients::ControlClients(Loop& loop, Lingering& lingering, std::function<bool()> may_serve,
                               std::function<void(int)> serve)
    : lingering_(lingering),
      may_serve_(std::move(may_serve)),
      serve_(std::move(serve)),
      acceptor_(loop, [this] { OnClients(); }) {}

void ControlClients::Listen(UniqueFd listener, SocketFile file, std::string folder) {
  Close();
  file_ = std::move(file);
  folder_ = std::move(folder);
  acceptor_.Open(std::move(listener));
}

void ControlClients::Close() {
  waits_ = false;
  acceptor_.Close();
  file_.Remove();
  if (!folder_.empty()) rmdir(std::exchange(folder_, "").c_str());
}

std::optional<UniqueFd> ControlClients::AcceptOwn() {
  auto client = acceptor_.Accept();
  if (!client) return std::nullopt;
  if (client->stranger.empty()) return std::move(client->fd);
  lingering_.Answer(std::move(client->fd), RawAnswer("403 Forbidden", client->stranger));
  return UniqueFd();
}

void ControlClients::OnClients() {
  if (!may_serve_()) {
    acceptor_.Pause();
    waits_ = true;
    return;
  }
  const auto client = AcceptOwn();
  if (client && client->valid()) serve_(client->get());
}

void ControlClients::Resume() {
  waits_ = false;
  acceptor_.Resume();
}

void ControlClients::RefuseAll(const std::string& reason) {
  if (!waits_) return;
  while (auto client = AcceptOwn())
    if (client->valid())
      lingering_.Answer(std::move(*client), RawAnswer("503 Service Unavailable", reason));
  Resume();
}

}  // namespace spliceport::shim
