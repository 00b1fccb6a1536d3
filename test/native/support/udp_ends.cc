#include "support/udp_ends.h"

#include <doctest/doctest.h>
#include <linux/sock_diag.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>

#include "base/linux_compat.h"

namespace spliceport {

namespace {

constexpr size_t kLargest = 65'536;

std::string RandomText() {
  std::mt19937_64 engine(2);
  std::string text(1'000'003, '\0');
  for (char& byte : text)
    byte = static_cast<char>(engine());
  return text;
}

size_t SegmentBytes(msghdr& header) {
  for (cmsghdr* item = CMSG_FIRSTHDR(&header); item != nullptr; item = CMSG_NXTHDR(&header, item)) {
    if (item->cmsg_level != IPPROTO_UDP || item->cmsg_type != UDP_GRO) continue;
    int bytes = 0;
    std::memcpy(&bytes, CMSG_DATA(item), sizeof(bytes));
    return static_cast<size_t>(bytes);
  }
  return 0;
}

}  // namespace

std::string_view DatagramRecord::Content(size_t index, size_t size) const {
  static const std::string kText = RandomText();
  // Neighbors far apart, so that no two datagrams look alike.
  const uint64_t place = (seed_ * 1'000'003 + index) * 0x9e3779b97f4a7c15ULL >> 20;
  return std::string_view(kText).substr(place % (kText.size() - kLargest), size);
}

void DatagramRecord::Arrived(std::string_view bytes) {
  for (size_t index = next_; index < sizes_.size(); ++index) {
    if (sizes_[index] != bytes.size() || Content(index, bytes.size()) != bytes) continue;
    next_ = index + 1;
    ++arrived_;
    return;
  }
  if (!fault_.empty()) return;
  fault_ = "of flow and direction " + std::to_string(seed_) + ", after datagram " +
           std::to_string(next_) + " of " + std::to_string(sizes_.size()) + ": one of " +
           std::to_string(bytes.size()) + " bytes that was not sent then";
}

UdpEnd::UdpEnd(const Address& address, bool gro)
    : fd_(socket(address.bytes()->sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
  const int on = 1;
  const int room = 8 << 20;
  setsockopt(fd(), SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
  if (gro) setsockopt(fd(), IPPROTO_UDP, UDP_GRO, &on, sizeof(on));
  REQUIRE(bind(fd(), address.bytes(), address.size()) == 0);
}

Address UdpEnd::address() const {
  sockaddr_storage bytes{};
  socklen_t size = sizeof(bytes);
  REQUIRE(getsockname(fd(), reinterpret_cast<sockaddr*>(&bytes), &size) == 0);
  return Address::FromKernel(bytes);
}

bool UdpEnd::Send(const Address& peer, std::string_view bytes) const {
  return sendto(fd(), bytes.data(), bytes.size(), 0, peer.bytes(), peer.size()) >= 0;
}

bool UdpEnd::SendTrain(const Address& peer, const std::vector<std::string_view>& datagrams) const {
  std::vector<iovec> pieces;
  for (const std::string_view& bytes : datagrams)
    pieces.push_back({const_cast<char*>(bytes.data()), bytes.size()});
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(uint16_t))> control{};
  msghdr header{};
  header.msg_name = const_cast<sockaddr*>(peer.bytes());
  header.msg_namelen = peer.size();
  header.msg_iov = pieces.data();
  header.msg_iovlen = pieces.size();
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  cmsghdr* item = CMSG_FIRSTHDR(&header);
  item->cmsg_level = IPPROTO_UDP;
  item->cmsg_type = UDP_SEGMENT;
  item->cmsg_len = CMSG_LEN(sizeof(uint16_t));
  const auto segment = static_cast<uint16_t>(datagrams.front().size());
  std::memcpy(CMSG_DATA(item), &segment, sizeof(segment));
  return sendmsg(fd(), &header, 0) >= 0;
}

size_t UdpEnd::Receive(
    const std::function<void(const Address& peer, std::string_view bytes)>& take) const {
  static thread_local std::array<char, kLargest> buffer;
  for (size_t count = 0;;) {
    sockaddr_storage peer{};
    alignas(cmsghdr) std::array<char, 64> control{};
    iovec memory{buffer.data(), buffer.size()};
    msghdr header{};
    header.msg_name = &peer;
    header.msg_namelen = sizeof(peer);
    header.msg_iov = &memory;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    const ssize_t size = recvmsg(fd(), &header, 0);
    if (size < 0) return count;
    const std::string_view bytes(buffer.data(), static_cast<size_t>(size));
    const size_t segment = SegmentBytes(header);
    const size_t step = segment == 0 ? bytes.size() : segment;
    size_t at = 0;
    do {
      take(Address::FromKernel(peer), bytes.substr(at, step));
      ++count;
      at += step;
    } while (at < bytes.size());
  }
}

uint32_t UdpEnd::Drops() const {
  std::array<uint32_t, SK_MEMINFO_VARS> figures{};
  socklen_t size = sizeof(figures);
  REQUIRE(getsockopt(fd(), SOL_SOCKET, SO_MEMINFO, figures.data(), &size) == 0);
  return figures[SK_MEMINFO_DROPS];
}

}  // namespace spliceport
