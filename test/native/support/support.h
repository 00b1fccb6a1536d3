// support.h: what several native tests need: connected sockets, network namespaces, waiting for a
//            condition.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "base/unique_fd.h"
#include "net/socket.h"

namespace spliceport {

struct TcpPair {
  UniqueFd client;
  UniqueFd server;
};

// Both ends of one TCP connection over loopback; non-blocking.
TcpPair ConnectedTcpPair();

// A new network namespace whose loopback is up; needs CAP_SYS_ADMIN.
UniqueFd NewNamespace();

// Runs `action` on a thread of its own inside the namespace, to its end.
void InNamespace(int netns, const std::function<void()>& action);

// Whether `condition` came true in time.
bool Eventually(const std::function<bool()>& condition,
                std::chrono::milliseconds deadline = std::chrono::seconds(5));

// Reads until the end or `size` bytes, waiting for what is on its way; what came, which is less
// when time runs out.
std::string ReadUpTo(int fd, size_t size);

// How many descriptors the process has open.
int OpenDescriptors();

}  // namespace spliceport
