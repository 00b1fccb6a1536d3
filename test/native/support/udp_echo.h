// udp_echo.h: the container's side and the client's of the UDP tests, by the engine's own batches.
#pragma once

#include <doctest/doctest.h>
#include <poll.h>

#include <atomic>
#include <thread>

#include "net/socket.h"
#include "net/udp_batch.h"
#include "support/support.h"

namespace spliceport {

// Sends every datagram back to where it came from, in a namespace, on 127.0.0.1.
class UdpEcho {
 public:
  explicit UdpEcho(int netns, uint16_t port = 0) {
    Result<UniqueFd> opened = SysError{0, ""};
    InNamespace(netns, [&] {
      opened = OpenHostSocket(Protocol::kUdp, *Address::Parse("127.0.0.1", port), false);
    });
    REQUIRE(opened.ok());
    socket_ = std::move(opened.value());
    address_ = LocalAddress(socket_.get()).value();
    thread_ = std::thread([this] {
      while (!stop_)
        EchoOnce();
    });
  }
  ~UdpEcho() {
    stop_ = true;
    thread_.join();
  }
  UdpEcho(const UdpEcho&) = delete;
  UdpEcho& operator=(const UdpEcho&) = delete;
  const Address& address() const { return address_; }

 private:
  void EchoOnce() {
    pollfd poller{socket_.get(), POLLIN, 0};
    if (poll(&poller, 1, 20) <= 0) return;
    batch_.Clear();
    for (int i = 0, count = batch_.Receive(socket_.get(), false); i < count; ++i) {
      DatagramRoute back{.connected = false, .peer = batch_[i].peer};
      SendBatch out;
      out.Add(back, batch_[i]);
      out.Flush(socket_.get());
    }
  }

  UniqueFd socket_;
  Address address_;
  ReceiveBatch batch_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

// Sends to `host`, and hears from there alone.
inline UniqueFd ClientOf(const Address& host) {
  auto client = OpenConnectedDatagramSocket(host);
  REQUIRE(client.ok());
  return std::move(client.value());
}

}  // namespace spliceport
