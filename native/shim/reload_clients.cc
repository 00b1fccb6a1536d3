#include "shim/reload_clients.h"

#include <array>

namespace spliceport::shim {

namespace {

constexpr size_t kMaxRequestBytes = 4'096;
constexpr size_t kMaxClients = 16;
constexpr int64_t kRequestMillis = 2'000;
// A resident that is started on a busy machine for the purpose may take seconds.
constexpr int64_t kAnswerMillis = 30'000;
constexpr int kMaxAsked = 5;

constexpr std::string_view kSpaces = " \t\n\v\f\r";

}  // namespace

struct ReloadClients::Client {
  Client(Loop& loop, UniqueFd connection, std::function<void()> on_data,
         std::function<void()> on_time)
      : fd(std::move(connection)),
        watch(loop, [act = std::move(on_data)](uint32_t /*events*/) { act(); }),
        alarm(loop, std::move(on_time)) {}

  UniqueFd fd;
  Watch watch;
  Alarm alarm;
  std::string received;
  // Set once the request has come whole, and is `received`.
  bool waits = false;
  int asked = 0;
};

std::string_view RequestIn(std::string_view bytes) {
  const size_t begin = bytes.find_first_not_of(kSpaces);
  if (begin == std::string_view::npos) return {};
  if (bytes[begin] == '"') {
    for (size_t at = begin + 1; at < bytes.size(); ++at) {
      if (bytes[at] == '"') return bytes.substr(0, at + 1);
      if (bytes[at] == '\\') ++at;
    }
  }
  const size_t end = bytes.find('\n', begin);
  return end == std::string_view::npos ? std::string_view() : bytes.substr(0, end + 1);
}

ReloadClients::ReloadClients(Loop& loop, Lingering& lingering, OnRequest on_request)
    : loop_(loop),
      lingering_(lingering),
      on_request_(std::move(on_request)),
      acceptor_(loop, [this] { AcceptOne(); }) {}

ReloadClients::~ReloadClients() = default;

void ReloadClients::Listen(UnixType type, UniqueFd listener, SocketFile file) {
  type_ = type;
  file_ = std::move(file);
  acceptor_.Open(std::move(listener));
}

void ReloadClients::Close() {
  acceptor_.Close();
  clients_.clear();
  file_.Remove();
}

void ReloadClients::AcceptOne() {
  auto accepted = acceptor_.Accept();
  if (!accepted) return;
  if (!accepted->stranger.empty()) {
    lingering_.Answer(std::move(accepted->fd), accepted->stranger);
    return;
  }
  if (clients_.size() >= kMaxClients) clients_.erase(clients_.begin());
  const uint32_t id = next_++;
  auto client = std::make_unique<Client>(
      loop_, std::move(accepted->fd), [this, id] { Read(id); },
      [this, id] {
        if (clients_.at(id)->waits)
          Refuse(id, "the resident process of spliceport does not answer");
        else
          clients_.erase(id);
      });
  if (!client->watch.Start(client->fd.get(), EPOLLIN).ok()) return;
  client->alarm.Set(kRequestMillis);
  clients_.emplace(id, std::move(client));
}

void ReloadClients::Read(uint32_t id) {
  Client& client = *clients_.at(id);
  std::array<char, kMaxRequestBytes + 1> chunk{};
  const Io io = Receive(client.fd.get(), chunk);
  if (io.would_block()) return;
  if (io.failed()) {
    clients_.erase(id);
    return;
  }
  client.received.append(chunk.data(), io.count);
  const bool is_last =
      io.at_end() || type_ == UnixType::kSeqpacket || client.received.size() > kMaxRequestBytes;
  if (const auto request = RequestIn(client.received); !request.empty())
    client.received.resize(request.size());
  else if (!is_last)
    return;
  if (client.received.empty()) {
    clients_.erase(id);
    return;
  }
  client.watch.Stop();
  client.waits = true;
  client.alarm.Set(kAnswerMillis);
  Ask(id);
}

void ReloadClients::Ask(uint32_t id) {
  Client& client = *clients_.at(id);
  if (++client.asked > kMaxAsked)
    Refuse(id, "the resident process of spliceport ends when it is asked");
  else if (const auto answer = on_request_(id, client.received))
    Reply(id, *answer);
}

std::vector<uint32_t> ReloadClients::Waiting() const {
  std::vector<uint32_t> ids;
  for (const auto& [id, client] : clients_)
    if (client->waits) ids.push_back(id);
  return ids;
}

void ReloadClients::AskAgain() {
  for (const uint32_t id : Waiting())
    Ask(id);
}

void ReloadClients::Settle(const OnRequest& answer) {
  for (const uint32_t id : Waiting())
    if (const auto text = answer(id, clients_.at(id)->received)) Reply(id, *text);
}

void ReloadClients::Reply(uint32_t client, std::span<const char> answer) {
  const auto found = clients_.find(client);
  if (found == clients_.end()) return;
  // It may have left early, or not read.
  SendWhole(found->second->fd.get(), answer).Ignore();
  clients_.erase(found);
}

void ReloadClients::Refuse(uint32_t id, const std::string& reason) {
  Reply(id, "rootless port failed to add port: " + reason);
}

void ReloadClients::RefuseAll(const std::string& reason) {
  for (const uint32_t id : Waiting())
    Refuse(id, reason);
}

}  // namespace spliceport::shim
