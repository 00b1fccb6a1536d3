// Two ways to move bytes, and when to switch
//
//   copy    recv(2) into the worker's scratch memory, send(2) out of it. Two calls per message, no
//           pipe.
//   splice  splice(2) into a pipe of the worker's pool, splice(2) out of it. Half the CPU time per
//           byte in bulk, no gain below about 16 KiB.
//
// A direction starts with copy. A read that fills kCopyBytes makes it bulk. It stays in bulk across
// EAGAIN, and leaves it only after kSmallReadsToLeave reads in a row below kSmallReadBytes: between
// two messages of 32 KiB a read finds nothing, and switching each time is the worst of both
// (docs/architecture.md has the figures).
//
// The pump has a pipe only while bytes are in it. If there is none, bulk is copied through all of
// the scratch memory, and the pool is asked again at each read. The same happens if splice(2) is
// refused, or fails for a reason of this machine: what is in the pipe is read back and sent as a
// copy.

#include "relay/pump.h"

#include <algorithm>

#include "relay/splice.h"

namespace spliceport {

namespace {

constexpr size_t kCopyBytes = 16 << 10;
constexpr size_t kSmallReadBytes = 8 << 10;
constexpr uint8_t kSmallReadsToLeave = 8;
// Reads per turn, so that a session that always has more does not delay the others.
constexpr int kReadsPerTurn = 4;
// The least MSS in use on IPv4: a first segment below it leaves at once, with or without
// TCP_NODELAY.
constexpr size_t kOneSegmentBytes = 536;

// Nagle's algorithm holds a short segment back only while another is unacknowledged, so the first
// short one needs no option, and a connection that sends just one saves the calls.
void TuneBeforeSend(StreamEnd& sink, size_t count) {
  if (!sink.tuned && (sink.sent_once || count > kOneSegmentBytes)) {
    SetNoDelay(sink.fd.get());
    sink.tuned = true;
  }
  sink.sent_once = true;
}

}  // namespace

PumpState Pump::Begin(Reactor& reactor, StreamEnd& source, StreamEnd& sink,
                      std::span<const char> prefix) {
  const std::span<char> all = reactor.Scratch().first(prefix.size() + kCopyBytes);
  const std::span<char> room = all.subspan(prefix.size());
  std::copy(prefix.begin(), prefix.end(), all.begin());
  const Io in = Receive(source.fd.get(), room);
  // At the end of the source the prefix is still sent.
  if (!in.moved()) {
    const PumpState end = EndOfRead(in, source);
    if (in.failed()) return end;
  }
  if (in.moved()) NoteRead(in.count, room.size(), source);
  return SendOrKeep(all.first(prefix.size() + in.count), sink);
}

PumpState Pump::Run(Reactor& reactor, StreamEnd& source, StreamEnd& sink) {
  for (int reads = 0; reads < kReadsPerTurn; ++reads) {
    if (backlog_bytes() > 0) {
      const PumpState flushed = Flush(reactor, sink);
      if (flushed != PumpState::kIdle) return flushed;
    }
    if (source_at_end_) return PumpState::kFinished;
    if (!source.readable) return PumpState::kIdle;
    if (!sink.writable) return PumpState::kBlocked;
    const PumpState moved = bulk_ ? Splice(reactor, source, sink) : Copy(reactor, source, sink);
    if (moved != PumpState::kYield) return moved;
  }
  return PumpState::kYield;
}

PumpState Pump::Flush(Reactor& reactor, StreamEnd& sink) {
  if (!sink.writable) return PumpState::kBlocked;
  return pipe_ ? EmptyInto(reactor, sink) : SendBacklog(sink);
}

PumpState Pump::SendBacklog(StreamEnd& sink) {
  const std::span<const char> rest(backlog_.get() + backlog_sent_, backlog_size_ - backlog_sent_);
  const Io io = Send(sink.fd.get(), rest);
  if (io.failed()) return FailureOf(io, PumpState::kSinkFailed);
  backlog_sent_ += static_cast<uint32_t>(io.count);
  if (io.count < rest.size()) {
    sink.writable = false;
    return PumpState::kBlocked;
  }
  backlog_.reset();
  backlog_size_ = backlog_sent_ = 0;
  return PumpState::kIdle;
}

// kYield: moved, and there may be more.
PumpState Pump::Copy(Reactor& reactor, StreamEnd& source, StreamEnd& sink) {
  const std::span<char> room = reactor.Scratch().first(bulk_ ? Reactor::kScratchBytes : kCopyBytes);
  const Io in = Receive(source.fd.get(), room);
  if (!in.moved()) return EndOfRead(in, source);
  NoteRead(in.count, room.size(), source);
  return SendOrKeep(room.first(in.count), sink);
}

void Pump::NoteRead(size_t count, size_t room, StreamEnd& source) {
  NoteReadSize(count);
  if (count < room && !source.hung_up && !source.urgent) source.readable = false;
  bytes_ += count;
}

PumpState Pump::SendOrKeep(std::span<const char> bytes, StreamEnd& sink) {
  TuneBeforeSend(sink, bytes.size());
  const Io out = Send(sink.fd.get(), bytes);
  if (out.failed()) return FailureOf(out, PumpState::kSinkFailed);
  if (out.count == bytes.size()) return PumpState::kYield;
  sink.writable = false;
  Keep(bytes.subspan(out.count));
  return PumpState::kBlocked;
}

PumpState Pump::Splice(Reactor& reactor, StreamEnd& source, StreamEnd& sink) {
  pipe_ = reactor.pipes.Take();
  if (!pipe_) {
    ++fallbacks_;
    return Copy(reactor, source, sink);
  }
  const Io in = FillPipe(source.fd.get(), *pipe_);
  if (!in.moved()) {
    reactor.pipes.Give(std::move(pipe_));
    if (in.failed() && !IsPeerError(in.error)) {
      reactor.pipes.Pause();
      ++fallbacks_;
      return Copy(reactor, source, sink);
    }
    // At an urgent mark splice(2) finds nothing, or the end if there is a FIN somewhere behind;
    // recv(2) passes over it.
    if (in.at_end() || (in.would_block() && source.urgent)) return Copy(reactor, source, sink);
    return EndOfRead(in, source);
  }
  NoteReadSize(in.count);
  bytes_ += in.count;
  TuneBeforeSend(sink, in.count);
  const PumpState emptied = EmptyInto(reactor, sink);
  return emptied == PumpState::kIdle ? PumpState::kYield : emptied;
}

PumpState Pump::EmptyInto(Reactor& reactor, StreamEnd& sink) {
  while (pipe_->buffered_bytes() > 0) {
    const Io out = EmptyPipe(*pipe_, sink.fd.get());
    if (out.failed()) {
      if (IsPeerError(out.error)) return PumpState::kSinkFailed;
      return ReadBackPipe(reactor) ? SendBacklog(sink) : PumpState::kBroken;
    }
    if (out.moved()) continue;
    sink.writable = false;
    return PumpState::kBlocked;
  }
  reactor.pipes.Give(std::move(pipe_));
  return PumpState::kIdle;
}

// What is in the pipe becomes the backlog of a copy. False if it cannot be read.
bool Pump::ReadBackPipe(Reactor& reactor) {
  ++fallbacks_;
  backlog_size_ = static_cast<uint32_t>(pipe_->buffered_bytes());
  backlog_sent_ = 0;
  backlog_ = std::make_unique_for_overwrite<char[]>(backlog_size_);
  const bool whole = ReadPipe(*pipe_, {backlog_.get(), backlog_size_});
  pipe_.reset();
  reactor.pipes.Pause();
  return whole;
}

PumpState Pump::EndOfRead(const Io& io, StreamEnd& source) {
  source.readable = false;
  if (io.failed()) return FailureOf(io, PumpState::kSourceFailed);
  if (io.would_block()) return PumpState::kIdle;
  source_at_end_ = true;
  return PumpState::kFinished;
}

void Pump::NoteReadSize(size_t count) {
  if (count >= kCopyBytes) bulk_ = true;
  small_reads_ = count >= kSmallReadBytes ? 0 : static_cast<uint8_t>(small_reads_ + 1);
  if (small_reads_ < kSmallReadsToLeave) return;
  bulk_ = false;
  small_reads_ = 0;
}

void Pump::Keep(std::span<const char> rest) {
  backlog_ = std::make_unique_for_overwrite<char[]>(rest.size());
  std::copy(rest.begin(), rest.end(), backlog_.get());
  backlog_size_ = static_cast<uint32_t>(rest.size());
  backlog_sent_ = 0;
}

void Pump::Abandon(Reactor& reactor) {
  if (pipe_) reactor.pipes.Give(std::move(pipe_));
  backlog_.reset();
  backlog_size_ = backlog_sent_ = 0;
}

}  // namespace spliceport
