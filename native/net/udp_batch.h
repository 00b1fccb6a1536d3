// udp_batch.h: many datagrams per system call: recvmmsg(2) and sendmmsg(2), with segmentation
//              offload both ways. With UDP_GRO one read may return a train of datagrams of equal
//              size; with UDP_SEGMENT one write sends such a train (udp(7)). splice(2) is of no use
//              here: a pipe does not keep the boundaries.
// Owns:   the memory of the current datagrams.
// Thread: the worker's.
// Fails:  a send that is refused is repeated, split or dropped, as udp_batch.cc explains, and
//         counted.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "net/address.h"

namespace spliceport {

// A datagram, or with segment_bytes > 0 a train of datagrams of that size, of which the last may be
// shorter.
struct Train {
  std::span<const char> bytes;
  size_t segment_bytes = 0;
  size_t datagrams() const {
    return segment_bytes == 0 ? 1 : (bytes.size() + segment_bytes - 1) / segment_bytes;
  }
};

struct ReceivedTrain : Train {
  Address peer;            // Not set on a connected socket.
  Address local;           // The address that the peer sent to, 0.0.0.0 if unknown. Port 0.
  uint32_t interface = 0;  // The interface that it arrived on.
  // The socket's count of drops so far, SO_RXQ_OVFL; 0 if there were none.
  uint32_t kernel_drops = 0;
};

class ReceiveBatch {
 public:
  static constexpr int kSlots = 32;

  ReceiveBatch();
  // Reads at most `max` trains into the slots from `used()` on. Returns how many; 0 for none or an
  // error.
  int Receive(int fd, bool connected, int max = kSlots);
  // Why the last Receive returned 0: EAGAIN if there was nothing to read.
  int error() const { return error_; }
  // The i-th train since Clear(). Its bytes are valid until Clear().
  const ReceivedTrain& operator[](int index) const { return trains_[index]; }
  int used() const { return used_; }
  bool full() const { return used_ == kSlots; }
  void Clear() { used_ = 0; }

 private:
  static constexpr size_t kSlotBytes = 64 << 10;  // The largest datagram or train is 65,527 bytes.
  struct Slot {
    sockaddr_storage peer;
    alignas(cmsghdr) char control[128];
    iovec memory;
  };
  void Prepare(int index, bool connected);
  void Read(int index, bool connected);

  std::unique_ptr<char[]> memory_;
  std::unique_ptr<Slot[]> slots_;
  std::array<mmsghdr, kSlots> headers_{};
  std::array<ReceivedTrain, kSlots> trains_;
  int used_ = 0;
  int error_ = 0;
};

// How datagrams of one flow leave. Must outlive the Flush of what was added with it.
struct DatagramRoute {
  bool connected = true;
  // The next two only if not connected.
  Address peer;
  Address source;                // The address to leave from; unspecified: the kernel chooses.
  uint32_t interface = 0;        // The interface of `source`; used if that is link-local.
  bool segmentation = true;      // Turned off for good if the path refuses UDP_SEGMENT.
  std::span<const char> prefix;  // Precedes each datagram; not counted in SendOutcome::bytes.
};

struct SendOutcome {
  uint64_t datagrams = 0;
  uint64_t bytes = 0;
  uint64_t dropped = 0;
};

class SendBatch {
 public:
  // Borrows the bytes, the route and its prefix until Flush: whoever frees one of them calls Flush
  // first (UdpForward::EndFlow). Joins a train to the one before if the two make one.
  void Add(DatagramRoute& route, const Train& train);
  bool empty() const { return messages_.empty(); }
  SendOutcome Flush(int fd);

 private:
  struct Message {
    DatagramRoute* route = nullptr;
    size_t first_piece = 0;
    size_t pieces = 0;
    size_t bytes = 0;          // With the prefixes.
    size_t segment_bytes = 0;  // Of the first datagram, also if it is the only one.
    size_t datagrams = 0;
    bool closed = false;      // Ends with a short datagram, so nothing can follow.
    bool any_source = false;  // The kernel chooses: the route's source has been refused.
  };
  void AddWhole(DatagramRoute& route, const Train& train);
  void Append(std::vector<Message>& messages, DatagramRoute& route, const Train& train);
  void AppendSingles(std::vector<Message>& messages, DatagramRoute& route,
                     std::span<const char> bytes, size_t segment_bytes);
  bool Join(DatagramRoute& route, const Train& train);
  void AppendPieces(const DatagramRoute& route, std::span<const char> bytes);
  void Head(const Message& message, msghdr& header, char* control);
  void MakeHeaders(size_t first);
  bool Recover(size_t index, int error);
  void Split(size_t index);

  std::vector<Message> messages_;
  std::vector<iovec> pieces_;
  std::vector<mmsghdr> headers_;
  std::vector<char> controls_;
};

}  // namespace spliceport
