// channel.h: frames over a connected Unix stream socket, and descriptors with them. A frame is a
//            header of 8 bytes (u32 length of the payload, u8 kind, u8 number of descriptors,
//            u16 0) and its payload. The descriptors travel with the first byte of the header.
// Owns:   the connection, what is queued to be sent, and what was received and not yet taken.
// Thread: its owner's.
// Fails:  a connection that ended, failed, or brought what is no frame is broken, and stays so.
//         The frames that came before can still be taken.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace spliceport::shim {

// Longer ones are not sent, and break the connection if they come.
inline constexpr size_t kMaxPayloadBytes = 64 << 20;

struct Frame {
  char kind = 0;
  std::vector<char> payload;
  std::vector<UniqueFd> fds;
};

class Channel {
 public:
  // The connection is non-blocking.
  explicit Channel(UniqueFd connection) : connection_(std::move(connection)) {}

  int fd() const { return connection_.get(); }
  bool broken() const { return broken_; }

  // Sends what there is room for, and queues the rest; the descriptors are the caller's. A peer
  // that leaves too much unread, or a frame that is too long, breaks the connection.
  void Send(char kind, std::span<const char> payload, std::span<const int> fds = {});
  bool wants_to_write() const { return !broken_ && !queue_.empty(); }
  // Even if some of what it has sent is still to be read.
  bool PeerHasLeft() const;
  // Sends what is queued, as far as there is room. False: broken.
  bool Flush();

  // Reads what is there, at most as much as is good for one turn. False: it has ended, or is
  // broken.
  bool Fill();
  std::optional<Frame> Next();

 private:
  struct Outgoing {
    std::string bytes;
    size_t sent = 0;
    std::vector<UniqueFd> fds;
  };

  // False: broken.
  bool SendSome(Outgoing& frame, std::span<const int> fds);
  bool Break();
  bool BeginFrame();
  // False: that is no frame.
  bool Parse(std::span<const char> bytes);

  UniqueFd connection_;
  bool broken_ = false;
  std::deque<Outgoing> queue_;
  size_t queued_bytes_ = 0;
  // A header that has come in part; and descriptors whose header has not come whole.
  std::string header_;
  std::deque<UniqueFd> received_fds_;
  // A frame whose payload has come in part.
  std::optional<Frame> begun_;
  size_t begun_bytes_ = 0;
  std::deque<Frame> frames_;
};

}  // namespace spliceport::shim
