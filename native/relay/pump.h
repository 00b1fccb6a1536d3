// pump.h: one direction of a TCP session: bytes from one socket to the other, copied while small
//         and spliced in bulk.
// Owns:   the bytes that it could not pass on yet (a buffer or a pipe). Borrows both sockets.
// Thread: the worker that owns the session.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "net/socket.h"
#include "relay/counters.h"
#include "relay/reactor.h"

namespace spliceport {

// One socket of a session, and what edge-triggered epoll last reported. A flag stays set until a
// call returns EAGAIN or moves less than was asked for, since no further edge comes before that.
struct StreamEnd {
  UniqueFd fd;
  bool readable = false;
  bool writable = false;
  // RDHUP, HUP or ERR: the next reads end in EOF or a failure, so a short read is not the last.
  bool hung_up = false;
  bool urgent = false;          // A read stops at an urgent mark, so a short read is not the last.
  bool sent_once = false;       // Bytes have gone out here before.
  bool tuned = false;           // TCP_NODELAY is on.
  bool tuned_for_bulk = false;  // The send buffer's size has been decided for bulk.
};

enum class PumpState : uint8_t {
  kIdle,          // Nothing to read; an edge on the source continues.
  kBlocked,       // The sink takes no more; an edge on the sink continues.
  kYield,         // More to do, but it is the turn of others first.
  kFinished,      // The source's FIN has been read and all bytes are passed on.
  kSourceFailed,  // The source was reset or died.
  kSinkFailed,    // The sink was reset or died.
  kBroken,        // A call failed for a reason of this machine; bytes may be lost.
};

// Invariants: unsent bytes are either in backlog_ or in pipe_, never in both. pipe_ is null while
// nothing is in it. backlog_sent_ <= backlog_size_, and both are 0 without backlog_.
class Pump {
 public:
  // Sends `prefix` ahead of everything, in one call with what the source has sent already. Once,
  // before the first Run, which follows unless this failed. bytes() does not include the prefix.
  PumpState Begin(Reactor& reactor, StreamEnd& source, StreamEnd& sink,
                  std::span<const char> prefix);
  PumpState Run(Reactor& reactor, StreamEnd& source, StreamEnd& sink);
  // The source's FIN has been read, if not yet passed on.
  bool source_at_end() const { return source_at_end_; }
  // Read, but not passed on yet.
  size_t backlog_bytes() const {
    return backlog_size_ - backlog_sent_ + (pipe_ ? pipe_->buffered_bytes() : 0);
  }
  // Whether the last read left it in bulk.
  bool bulk() const { return bulk_; }
  uint64_t bytes() const { return bytes_; }
  // How often bulk data was copied because there was no pipe, since the last call.
  uint32_t TakeFallbacks() { return std::exchange(fallbacks_, 0); }
  // Drops what has not been passed on, and gives back the pipe.
  void Abandon(Reactor& reactor);

 private:
  // Sends what is left over. kIdle if nothing is left.
  PumpState Flush(Reactor& reactor, StreamEnd& sink);
  PumpState SendBacklog(StreamEnd& sink);
  // The next two only with nothing left over; source.readable and sink.writable are set.
  PumpState Copy(Reactor& reactor, StreamEnd& source, StreamEnd& sink);
  PumpState Splice(Reactor& reactor, StreamEnd& source, StreamEnd& sink);
  void NoteRead(size_t count, size_t room, StreamEnd& source);
  PumpState SendOrKeep(std::span<const char> bytes, StreamEnd& sink);
  // With bytes in pipe_.
  PumpState EmptyInto(Reactor& reactor, StreamEnd& sink);
  bool ReadBackPipe(Reactor& reactor);
  PumpState EndOfRead(const Io& io, StreamEnd& source);
  static PumpState FailureOf(const Io& io, PumpState of_peer) {
    return IsPeerError(io.error) ? of_peer : PumpState::kBroken;
  }
  void NoteReadSize(size_t count);
  void Keep(std::span<const char> rest);

  std::unique_ptr<Pipe> pipe_;
  std::unique_ptr<char[]> backlog_;
  uint32_t backlog_size_ = 0;
  uint32_t backlog_sent_ = 0;
  uint64_t bytes_ = 0;
  uint32_t fallbacks_ = 0;
  uint8_t small_reads_ = 0;
  bool bulk_ = false;
  bool source_at_end_ = false;
};

}  // namespace spliceport
