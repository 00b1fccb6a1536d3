// udp_ends.h: datagram sockets that send and receive one by one or in trains, and the record of
// what a direction of a flow was given and has brought. Independent of the engine's own batches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"
#include "net/address.h"

namespace spliceport {

// The datagrams of one direction of one flow.
class DatagramRecord {
 public:
  explicit DatagramRecord(uint64_t seed) : seed_(seed) {}
  // The bytes of the next datagram to send, or of one of those behind it, if it has that size.
  std::string_view Next(size_t size, size_t behind = 0) const {
    return Content(sizes_.size() + behind, size);
  }
  void Sent(size_t size) { sizes_.push_back(static_cast<uint32_t>(size)); }
  // What arrives must be the next that was sent, or a later one, and then those between are lost.
  void Arrived(std::string_view bytes);

  size_t sent() const { return sizes_.size(); }
  size_t arrived() const { return arrived_; }
  size_t lost() const { return sizes_.size() - arrived_; }
  size_t unsettled() const { return sizes_.size() - next_; }
  const std::string& fault() const { return fault_; }

 private:
  std::string_view Content(size_t index, size_t size) const;

  uint64_t seed_;
  std::vector<uint32_t> sizes_;
  size_t next_ = 0;
  size_t arrived_ = 0;
  std::string fault_;
};

class UdpEnd {
 public:
  // Bound to `address`; with `gro` it takes trains whole.
  UdpEnd(const Address& address, bool gro);
  int fd() const { return fd_.get(); }
  Address address() const;

  // Whether the kernel took it.
  bool Send(const Address& peer, std::string_view bytes) const;
  // Equal sizes, the last may be shorter; one call with UDP_SEGMENT.
  bool SendTrain(const Address& peer, const std::vector<std::string_view>& datagrams) const;
  // Hands out what there is, each datagram by itself; how many.
  size_t Receive(
      const std::function<void(const Address& peer, std::string_view bytes)>& take) const;
  // What the kernel dropped for want of room.
  uint32_t Drops() const;

 private:
  UniqueFd fd_;
};

}  // namespace spliceport
