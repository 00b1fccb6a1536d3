// udp_server.h: the datagram half of the server: counts what arrives, or sends it back.
// Thread: one. Borrows the counters.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <memory>

#include "base.h"
#include "counters.h"
#include "socket.h"

namespace spliceport::bench {

class UdpServer {
 public:
  struct Settings {
    bool echo = false;
    // Receives runs of datagrams as one, as a server of QUIC does. @see UDP_GRO in udp(7)
    bool gro = false;
  };

  UdpServer(const Address& address, Settings settings, Counters* counters);

  int fd() const { return socket_.get(); }
  // Takes one batch; call it when the socket is readable.
  void OnReadable();

 private:
  static constexpr size_t kBatch = 64;
  static constexpr size_t kBufferBytes = 65'536;

  struct Slot {
    sockaddr_storage peer;
    iovec part;
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control;
  };

  void PrepareSlots();
  uint64_t DatagramsIn(const mmsghdr& message) const;
  void SendBack(size_t count);

  UniqueFd socket_;
  const Settings settings_;
  Counters* const counters_;
  std::unique_ptr<char[]> buffers_;
  std::array<Slot, kBatch> slots_;
  std::array<mmsghdr, kBatch> messages_;
};

}  // namespace spliceport::bench
