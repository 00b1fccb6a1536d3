#include "udp_server.h"

#include <netinet/udp.h>

namespace spliceport::bench {

UdpServer::UdpServer(const Address& address, Settings settings, Counters* counters)
    : socket_(BindUdp(address)),
      settings_(settings),
      counters_(counters),
      buffers_(std::make_unique<char[]>(kBatch * kBufferBytes)) {
  if (settings_.gro) SetOption(socket_.get(), SOL_UDP, UDP_GRO, 1, "UDP_GRO");
  for (size_t i = 0; i < kBatch; i++) {
    slots_[i].part.iov_base = buffers_.get() + i * kBufferBytes;
    messages_[i].msg_hdr = {};
    messages_[i].msg_hdr.msg_iov = &slots_[i].part;
    messages_[i].msg_hdr.msg_iovlen = 1;
  }
}

void UdpServer::PrepareSlots() {
  for (size_t i = 0; i < kBatch; i++) {
    msghdr& header = messages_[i].msg_hdr;
    slots_[i].part.iov_len = kBufferBytes;
    header.msg_name = settings_.echo ? &slots_[i].peer : nullptr;
    header.msg_namelen = settings_.echo ? sizeof(slots_[i].peer) : 0;
    header.msg_control = settings_.gro ? slots_[i].control.data() : nullptr;
    header.msg_controllen = settings_.gro ? slots_[i].control.size() : 0;
  }
}

// One, unless the kernel joined several; then the control message tells their size.
uint64_t UdpServer::DatagramsIn(const mmsghdr& message) const {
  auto* header = const_cast<msghdr*>(&message.msg_hdr);
  for (cmsghdr* part = CMSG_FIRSTHDR(header); part != nullptr; part = CMSG_NXTHDR(header, part)) {
    if (part->cmsg_level != SOL_UDP || part->cmsg_type != UDP_GRO) continue;
    int segment_bytes = 0;
    memcpy(&segment_bytes, CMSG_DATA(part), sizeof(segment_bytes));
    return (message.msg_len + segment_bytes - 1) / segment_bytes;
  }
  return 1;
}

void UdpServer::OnReadable() {
  PrepareSlots();
  const int count = recvmmsg(socket_.get(), messages_.data(), kBatch, 0, nullptr);
  if (count < 0) {
    // A client that is gone is reported on the next call; it is no failure of this socket.
    if (errno == EAGAIN || errno == ECONNREFUSED || errno == EINTR) return;
    Die("recvmmsg");
  }
  uint64_t datagrams = static_cast<uint64_t>(count);
  if (settings_.gro) {
    datagrams = 0;
    for (int i = 0; i < count; i++)
      datagrams += DatagramsIn(messages_[i]);
  }
  Add(counters_->udp_datagrams, datagrams);
  if (settings_.echo) SendBack(static_cast<size_t>(count));
}

// What the socket does not take is lost, as any datagram may be.
void UdpServer::SendBack(size_t count) {
  for (size_t i = 0; i < count; i++) {
    slots_[i].part.iov_len = messages_[i].msg_len;
    messages_[i].msg_hdr.msg_control = nullptr;
    messages_[i].msg_hdr.msg_controllen = 0;
  }
  size_t sent = 0;
  while (sent < count) {
    const int now = sendmmsg(socket_.get(), &messages_[sent], count - sent, 0);
    if (now < 0 && errno == EAGAIN) return;
    sent += now < 0 ? 1 : static_cast<size_t>(now);
  }
}

}  // namespace spliceport::bench
