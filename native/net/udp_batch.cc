// What a refused send means
//
//   ECONNREFUSED   An ICMP answer to an *earlier* datagram, reported once instead of this send:
//                  repeat.
//   EINVAL, EIO, EMSGSIZE on a train: the route or the device cannot segment (its MTU is smaller
//                  than a segment, it has no checksum offload, ...): from now on this flow sends
//                  one by one, starting with this train.
//   ENETUNREACH, EHOSTUNREACH, ENODEV, EINVAL with a source address: the address is gone, or there
//                  is no route from it: the kernel chooses for this batch. The next batch tries the
//                  source again: addresses come back.
//   else           (EAGAIN, ENOBUFS, EMSGSIZE of one datagram, EPERM ...) dropped and counted, as
//                  by any router.

#include "net/udp_batch.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/linux_compat.h"

namespace spliceport {

namespace {

constexpr size_t kMaxSegments = 64;        // UDP_MAX_SEGMENTS of kernels before 6.9.
constexpr size_t kMaxTrainBytes = 65'000;  // Headers included it must stay below 64 KiB.
constexpr size_t kControlBytes = CMSG_SPACE(sizeof(in6_pktinfo)) + CMSG_SPACE(sizeof(uint16_t));

template <typename T>
T ReadControl(const cmsghdr* item) {
  T value{};
  std::memcpy(&value, CMSG_DATA(item), sizeof(value));
  return value;
}

// Appends to the control area that header.msg_controllen counts.
template <typename T>
void AppendControl(msghdr& header, int level, int type, const T& value) {
  auto* item =
      reinterpret_cast<cmsghdr*>(static_cast<char*>(header.msg_control) + header.msg_controllen);
  item->cmsg_level = level;
  item->cmsg_type = type;
  item->cmsg_len = CMSG_LEN(sizeof(value));
  std::memcpy(CMSG_DATA(item), &value, sizeof(value));
  header.msg_controllen += CMSG_SPACE(sizeof(value));
}

Address FromBytes(const void* bytes, bool v6) {
  sockaddr_storage storage{};
  storage.ss_family = v6 ? AF_INET6 : AF_INET;
  if (v6) {
    std::memcpy(&reinterpret_cast<sockaddr_in6&>(storage).sin6_addr, bytes, sizeof(in6_addr));
  } else {
    std::memcpy(&reinterpret_cast<sockaddr_in&>(storage).sin_addr, bytes, sizeof(in_addr));
  }
  return Address::FromKernel(storage);
}

void ReadControls(msghdr& header, ReceivedTrain& train) {
  for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_level == IPPROTO_IP && item->cmsg_type == IP_PKTINFO) {
      const auto info = ReadControl<in_pktinfo>(item);
      // Not ipi_addr: that is a broadcast address if the datagram was sent to one.
      train.local = FromBytes(&info.ipi_spec_dst, false);
      train.interface = static_cast<uint32_t>(info.ipi_ifindex);
    } else if (item->cmsg_level == IPPROTO_IPV6 && item->cmsg_type == IPV6_PKTINFO) {
      const auto info = ReadControl<in6_pktinfo>(item);
      if (!IN6_IS_ADDR_MULTICAST(&info.ipi6_addr)) train.local = FromBytes(&info.ipi6_addr, true);
      train.interface = info.ipi6_ifindex;
    } else if (item->cmsg_level == IPPROTO_UDP && item->cmsg_type == UDP_GRO) {
      train.segment_bytes = static_cast<size_t>(ReadControl<int>(item));
    } else if (item->cmsg_level == SOL_SOCKET && item->cmsg_type == SO_RXQ_OVFL) {
      train.kernel_drops = ReadControl<uint32_t>(item);
    }
  }
}

// sendmsg(2) only reads what it is given, but shares its structs with recvmsg(2), where nothing is
// const.
template <typename T>
T* ForKernel(const T* memory) {
  return const_cast<T*>(memory);  // NOLINT(cppcoreguidelines-pro-type-const-cast): see above.
}

// Names no interface, since for IPv4 that overrides the routing table: a client whose datagrams
// arrive on one interface and that is reached through another would get no answer. A link-local
// address needs one.
void AppendSource(msghdr& header, const DatagramRoute& route) {
  if (route.peer.is_v6()) {
    in6_pktinfo info{};
    info.ipi6_addr = route.source.v6();
    if (IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr)) info.ipi6_ifindex = route.interface;
    AppendControl(header, IPPROTO_IPV6, IPV6_PKTINFO, info);
  } else {
    in_pktinfo info{};
    info.ipi_spec_dst = route.source.v4();
    AppendControl(header, IPPROTO_IP, IP_PKTINFO, info);
  }
}

bool SegmentationRefused(int error) { return error == EINVAL || error == EIO || error == EMSGSIZE; }

bool WayOutRefused(int error) {
  return error == ENETUNREACH || error == EHOSTUNREACH || error == ENODEV || error == EINVAL;
}

// A single message has a cheaper call.
int ReceiveMessages(int fd, std::span<mmsghdr> headers) {
  if (headers.size() > 1)
    return recvmmsg(fd, headers.data(), static_cast<unsigned>(headers.size()), MSG_DONTWAIT,
                    nullptr);
  const ssize_t bytes = recvmsg(fd, &headers[0].msg_hdr, MSG_DONTWAIT);
  if (bytes < 0) return -1;
  headers[0].msg_len = static_cast<unsigned>(bytes);
  return 1;
}

int SendMessages(int fd, std::span<mmsghdr> headers) {
  constexpr int kFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
  if (headers.size() > 1)
    return sendmmsg(fd, headers.data(), static_cast<unsigned>(headers.size()), kFlags);
  const msghdr& header = headers[0].msg_hdr;
  const bool is_plain = header.msg_iovlen == 1 && header.msg_control == nullptr;
  const ssize_t bytes =
      is_plain ? sendto(fd, header.msg_iov->iov_base, header.msg_iov->iov_len, kFlags,
                        static_cast<const sockaddr*>(header.msg_name), header.msg_namelen)
               : sendmsg(fd, &header, kFlags);
  return bytes < 0 ? -1 : 1;
}

}  // namespace

ReceiveBatch::ReceiveBatch()
    : memory_(std::make_unique_for_overwrite<char[]>(kSlots * kSlotBytes)),
      slots_(std::make_unique_for_overwrite<Slot[]>(kSlots)) {}

void ReceiveBatch::Prepare(int index, bool connected) {
  Slot& slot = slots_[index];
  slot.memory = {memory_.get() + static_cast<size_t>(index) * kSlotBytes, kSlotBytes};
  msghdr& header = headers_[index].msg_hdr;
  header = {};
  header.msg_name = connected ? nullptr : &slot.peer;
  header.msg_namelen = connected ? 0 : sizeof(slot.peer);
  header.msg_iov = &slot.memory;
  header.msg_iovlen = 1;
  header.msg_control = slot.control;
  header.msg_controllen = sizeof(slot.control);
}

int ReceiveBatch::Receive(int fd, bool connected, int max) {
  const int first = used_;
  const int end = std::min(kSlots, first + max);
  for (int index = first; index < end; ++index)
    Prepare(index, connected);
  int count = 0;
  do {
    count = ReceiveMessages(fd, {&headers_[first], static_cast<size_t>(end - first)});
  } while (count < 0 && errno == EINTR);
  error_ = count < 0 ? errno : 0;
  if (count <= 0) return 0;
  used_ += count;
  for (int index = first; index < used_; ++index)
    Read(index, connected);
  return count;
}

void ReceiveBatch::Read(int index, bool connected) {
  mmsghdr& header = headers_[index];
  ReceivedTrain& train = trains_[index];
  train = {};
  train.bytes = {memory_.get() + static_cast<size_t>(index) * kSlotBytes, header.msg_len};
  if (!connected) train.peer = Address::FromKernel(slots_[index].peer);
  ReadControls(header.msg_hdr, train);
  // A lone datagram is reported with a segment of its own size.
  if (train.segment_bytes >= train.bytes.size()) train.segment_bytes = 0;
}

void SendBatch::Add(DatagramRoute& route, const Train& train) {
  if (train.datagrams() == 1 || (route.segmentation && route.prefix.empty()))
    return AddWhole(route, train);
  // Each datagram gets the prefix. Together they may form a train again.
  for (std::span<const char> rest = train.bytes; !rest.empty();) {
    const size_t size = std::min(rest.size(), train.segment_bytes);
    AddWhole(route, {rest.first(size), 0});
    rest = rest.subspan(size);
  }
}

void SendBatch::AddWhole(DatagramRoute& route, const Train& train) {
  if (!Join(route, train)) Append(messages_, route, train);
}

void SendBatch::Append(std::vector<Message>& messages, DatagramRoute& route, const Train& train) {
  const size_t size = route.prefix.size() + train.bytes.size();
  const size_t segment = train.segment_bytes == 0 ? size : train.segment_bytes;
  const size_t first_piece = pieces_.size();
  AppendPieces(route, train.bytes);
  messages.push_back({&route, first_piece, pieces_.size() - first_piece, size, segment,
                      train.datagrams(), segment == 0 || size % segment != 0});
}

// Two for each datagram that has a prefix, else one.
void SendBatch::AppendPieces(const DatagramRoute& route, std::span<const char> bytes) {
  if (!route.prefix.empty())
    pieces_.push_back({ForKernel(route.prefix.data()), route.prefix.size()});
  pieces_.push_back({ForKernel(bytes.data()), bytes.size()});
}

void SendBatch::AppendSingles(std::vector<Message>& messages, DatagramRoute& route,
                              std::span<const char> bytes, size_t segment_bytes) {
  while (!bytes.empty()) {
    const size_t size = std::min(bytes.size(), segment_bytes);
    Append(messages, route, {bytes.first(size), 0});
    bytes = bytes.subspan(size);
  }
}

bool SendBatch::Join(DatagramRoute& route, const Train& train) {
  if (messages_.empty() || !route.segmentation) return false;
  Message& last = messages_.back();
  const size_t size = route.prefix.size() + train.bytes.size();
  const size_t segment = train.segment_bytes == 0 ? size : train.segment_bytes;
  if (last.route != &route || last.closed || size == 0) return false;
  if (segment > last.segment_bytes || (segment < last.segment_bytes && train.segment_bytes != 0))
    return false;
  if (last.bytes + size > kMaxTrainBytes || last.datagrams + train.datagrams() > kMaxSegments)
    return false;
  AppendPieces(route, train.bytes);
  last.pieces = pieces_.size() - last.first_piece;
  last.bytes += size;
  last.datagrams += train.datagrams();
  last.closed = size % last.segment_bytes != 0;
  return true;
}

void SendBatch::Head(const Message& message, msghdr& header, char* control) {
  header = {};
  header.msg_iov = &pieces_[message.first_piece];
  header.msg_iovlen = message.pieces;
  header.msg_control = control;
  const DatagramRoute& route = *message.route;
  if (!route.connected) {
    header.msg_name = ForKernel(route.peer.bytes());
    header.msg_namelen = route.peer.size();
    if (!message.any_source && !route.source.is_unspecified()) AppendSource(header, route);
  }
  if (message.datagrams > 1) {
    AppendControl(header, IPPROTO_UDP, UDP_SEGMENT, static_cast<uint16_t>(message.segment_bytes));
  }
  if (header.msg_controllen == 0) header.msg_control = nullptr;
}

// Addresses in the headers point into pieces_ and controls_, so they are made when both have their
// final size.
void SendBatch::MakeHeaders(size_t first) {
  headers_.resize(messages_.size());
  controls_.resize(messages_.size() * kControlBytes);
  for (size_t i = first; i < messages_.size(); ++i) {
    Head(messages_[i], headers_[i].msg_hdr, &controls_[i * kControlBytes]);
  }
}

SendOutcome SendBatch::Flush(int fd) {
  SendOutcome outcome;
  MakeHeaders(0);
  size_t next = 0;
  bool repeated = false;
  while (next < messages_.size()) {
    const int sent = SendMessages(fd, std::span(headers_).subspan(next));
    if (sent > 0) {
      for (const size_t end = next + static_cast<size_t>(sent); next < end; ++next) {
        outcome.datagrams += messages_[next].datagrams;
        outcome.bytes += messages_[next].bytes -
                         messages_[next].datagrams * messages_[next].route->prefix.size();
      }
      repeated = false;
      continue;
    }
    const int error = errno;
    if (error == EINTR) continue;
    if (error == ECONNREFUSED && !std::exchange(repeated, true)) continue;
    if (Recover(next, error)) {
      MakeHeaders(next);
      continue;
    }
    outcome.dropped += messages_[next++].datagrams;
    repeated = false;
  }
  messages_.clear();
  pieces_.clear();
  return outcome;
}

// Changes the message so that it can be sent again. False if there is nothing left to try.
bool SendBatch::Recover(size_t index, int error) {
  DatagramRoute& route = *messages_[index].route;
  if (messages_[index].datagrams > 1 && SegmentationRefused(error)) {
    route.segmentation = false;
    Split(index);
    return true;
  }
  if (route.connected || route.source.is_unspecified()) return false;
  if (messages_[index].any_source || !WayOutRefused(error)) return false;
  for (size_t i = index; i < messages_.size(); ++i)
    messages_[i].any_source |= messages_[i].route == &route;
  return true;
}

void SendBatch::Split(size_t index) {
  const Message message = messages_[index];
  std::vector<Message> singles;
  const bool has_prefixes = !message.route->prefix.empty();
  for (size_t piece = 0; has_prefixes && piece < message.pieces; piece += 2) {
    const size_t first = message.first_piece + piece;
    const size_t size = pieces_[first].iov_len + pieces_[first + 1].iov_len;
    singles.push_back({message.route, first, 2, size, size, 1, true});
  }
  for (size_t piece = 0; !has_prefixes && piece < message.pieces; ++piece) {
    const iovec memory = pieces_[message.first_piece + piece];
    AppendSingles(singles, *message.route,
                  {static_cast<const char*>(memory.iov_base), memory.iov_len},
                  message.segment_bytes);
  }
  const auto place = messages_.erase(messages_.begin() + static_cast<ptrdiff_t>(index));
  messages_.insert(place, singles.begin(), singles.end());
}

}  // namespace spliceport
