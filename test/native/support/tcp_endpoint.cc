#include "support/tcp_endpoint.h"

#include <netinet/tcp.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "net/socket.h"

namespace spliceport {

namespace {

using Kind = Step::Kind;

constexpr int kReadsPerTurn = 8;

}  // namespace

TcpEndpoint::TcpEndpoint(const Script& script, size_t side)
    : script_(script), part_(script.parts[side]), side_(side) {}

void TcpEndpoint::Begin(UniqueFd fd, int64_t now) {
  fd_ = std::move(fd);
  begun_ = true;
  idle_until_ = now + part_.begins_after_micros;
  deaf_until_ = idle_until_;
}

bool TcpEndpoint::Advance(int64_t now) {
  bool moved = false;
  if (fd_.valid() && now >= deaf_until_) moved = Read(now);
  while (fd_.valid() && next_step_ < part_.steps.size() && now >= idle_until_ && StepOnce(now))
    moved = true;
  return moved;
}

bool TcpEndpoint::Read(int64_t now) {
  static thread_local std::array<char, 64 << 10> buffer;
  if (end_ == End::kFin) LookForReset();
  if (end_ != End::kOpen) return false;
  for (int reads = 0; reads < kReadsPerTurn && now >= deaf_until_; ++reads) {
    const Io io = Receive(fd_.get(), std::span(buffer).first(part_.bytes_per_read));
    if (io.would_block()) return reads > 0;
    if (!io.moved()) {
      NoteEnd(io.error);
      return true;
    }
    CheckBytes({buffer.data(), io.count});
  }
  return true;
}

void TcpEndpoint::CheckBytes(std::string_view bytes) {
  while (!bytes.empty() && fault_.empty()) {
    const auto expected = StreamBytes(script_.seed, 1 - side_, received_, bytes.size());
    if (bytes.substr(0, expected.size()) != expected)
      fault_ = "other bytes than were sent, after byte " + std::to_string(received_);
    received_ += expected.size();
    bytes.remove_prefix(expected.size());
  }
}

// The error of a connection is told once: when a write has had it, the read that follows says
// "end".
void TcpEndpoint::NoteEnd(int error) {
  if (error == 0 && write_error_ == ECONNRESET) error = write_error_;
  end_ = error == 0 ? End::kFin : End::kReset;
  if (error != 0 && error != ECONNRESET) fault_ = "read failed with errno " + std::to_string(error);
  if (end_ == End::kFin) LookForReset();
}

void TcpEndpoint::LookForReset() {
  if (!has_shut_down_ && IsDead()) end_ = End::kFinThenReset;
}

bool TcpEndpoint::IsDead() const {
  tcp_info info{};
  socklen_t size = sizeof(info);
  return getsockopt(fd_.get(), IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
         info.tcpi_state == TCP_CLOSE;
}

// Whether the step is done.
bool TcpEndpoint::StepOnce(int64_t now) {
  const Step& step = part_.steps[next_step_];
  switch (step.kind) {
    case Kind::kWrite:
      if (!Write()) return false;
      break;
    case Kind::kPause:
      idle_until_ = now + static_cast<int64_t>(step.amount);
      break;
    case Kind::kStall:
      deaf_until_ = now + static_cast<int64_t>(step.amount);
      break;
    case Kind::kAwait:
      if (received_ < step.amount && end_ == End::kOpen) return false;
      break;
    case Kind::kAwaitEnd:
      if (end_ == End::kOpen) return false;
      break;
    case Kind::kFlush:
      if (UnacknowledgedBytes(fd_.get()) > 0 && !IsDead()) return false;
      break;
    case Kind::kShutdown:
      ShutdownWrite(fd_.get());
      has_shut_down_ = true;
      break;
    case Kind::kReset:
      ResetOnClose(fd_.get());
      fd_.Reset();
      break;
    case Kind::kClose:
      fd_.Reset();
      break;
  }
  ++next_step_;
  return true;
}

bool TcpEndpoint::Write() {
  const size_t size = part_.steps[next_step_].amount;
  while (written_in_step_ < size) {
    const auto bytes = StreamBytes(script_.seed, side_, written_, size - written_in_step_);
    const Io io = Send(fd_.get(), bytes);
    if (io.would_block()) return false;
    if (io.failed()) {
      if (write_error_ == 0) write_error_ = io.error;
      break;
    }
    written_ += io.count;
    written_in_step_ += io.count;
  }
  written_in_step_ = 0;
  return true;
}

bool TcpEndpoint::EndIsAllowed() const {
  return part_.endings.empty() || std::ranges::count(part_.endings, end_) > 0;
}

bool TcpEndpoint::Content() const {
  return begun_ && next_step_ == part_.steps.size() && EndIsAllowed() &&
         received_ >= part_.least_bytes;
}

std::string TcpEndpoint::Complaint() const {
  if (!fault_.empty()) return fault_;
  if (!begun_) return "never connected";
  if (next_step_ < part_.steps.size()) return "stuck in step " + std::to_string(next_step_);
  if (received_ < part_.least_bytes) return "not all bytes came";
  if (!EndIsAllowed()) return std::string("ended with ") + NameOf(end_);
  return "";
}

std::string TcpEndpoint::Text() const {
  return std::to_string(received_) + " bytes (at least " + std::to_string(part_.least_bytes) +
         "), end: " + NameOf(end_) + ", step " + std::to_string(next_step_) + ", " +
         std::to_string(written_) + " written" +
         (write_error_ == 0 ? "" : ", write error " + std::to_string(write_error_));
}

}  // namespace spliceport
