// server.h: the container's side of the engine tests: a TCP server inside a namespace.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/unique_fd.h"
#include "net/address.h"

namespace spliceport {

// Sends everything, waiting for room; whether it all went out.
bool SendAll(int fd, const std::string& bytes);

// What a connection brought until it ended.
struct Ending {
  std::string bytes;
  int error =
      0;  // 0 after a FIN, ECONNRESET after a RST, ETIMEDOUT when nothing came for five seconds.
};
Ending ReadToEnd(int fd);

// Listens on 127.0.0.1 in the namespace, and gives each connection to `handler` on a thread of its
// own.
class Server {
 public:
  // Port 0: a free one.
  Server(int netns, std::function<void(int)> handler, uint16_t port = 0);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  const Address& address() const { return address_; }

 private:
  void AcceptAll();

  std::function<void(int)> handler_;
  UniqueFd listener_;
  Address address_;
  std::vector<std::thread> connections_;
  std::thread acceptor_;
};

// Handlers.
void Echo(int fd);        // Sends back what comes, then a FIN after the client's.
void AnswerLate(int fd);  // Reads to the FIN, then sends back all of it.

}  // namespace spliceport
