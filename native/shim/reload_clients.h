// reload_clients.h: clients of the socket by which a container engine tells a container's new
//                   address. Each sends one request and gets one answer; none holds up another.
// Owns:   the listening socket, its name, and the clients.
// Thread: the main one.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/unix_socket.h"
#include "shim/acceptor.h"
#include "shim/lingering.h"
#include "shim/loop.h"
#include "shim/socket_file.h"

namespace spliceport::shim {

class ReloadClients {
 public:
  // An answer that can be given at once, or nothing: Reply follows. Ends no client before it
  // returns.
  using OnRequest =
      std::function<std::optional<std::string>(uint32_t client, std::string_view request)>;

  ReloadClients(Loop& loop, Lingering& lingering, OnRequest on_request);
  ~ReloadClients();
  ReloadClients(const ReloadClients&) = delete;
  ReloadClients& operator=(const ReloadClients&) = delete;

  void Listen(UnixType type, UniqueFd listener, SocketFile file);
  // Whether a request has not been answered.
  bool AnyWaits() const { return !Waiting().empty(); }
  // Whether a request is the first of those that have not been answered.
  bool IsNext(uint32_t client) const { return Waiting().front() == client; }
  // Has OnRequest called again for these requests. One that has been asked about too often is
  // answered, because it may be what ends those who are asked.
  void AskAgain();
  // Answers the requests that `answer` has an answer to.
  void Settle(const OnRequest& answer);
  void Reply(uint32_t client, std::span<const char> answer);
  // Answers all requests with the reason why nothing can be done.
  void RefuseAll(const std::string& reason);
  // Lets everyone go, and removes the name.
  void Close();

 private:
  struct Client;
  std::vector<uint32_t> Waiting() const;
  void AcceptOne();
  void Read(uint32_t id);
  void Ask(uint32_t id);
  void Refuse(uint32_t id, const std::string& reason);

  Loop& loop_;
  Lingering& lingering_;
  OnRequest on_request_;
  Acceptor acceptor_;
  SocketFile file_;
  UnixType type_ = UnixType::kStream;
  uint32_t next_ = 1;
  // The one that came first is the first.
  std::map<uint32_t, std::unique_ptr<Client>> clients_;
};

// The request that the bytes begin with: a JSON string, or a line of anything else. Empty: it has
// not come whole.
std::string_view RequestIn(std::string_view bytes);

}  // namespace spliceport::shim
