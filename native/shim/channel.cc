#include "shim/channel.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "net/unix_socket.h"
#include "shim/wire.h"

namespace spliceport::shim {

namespace {

constexpr size_t kHeaderBytes = 8;
constexpr size_t kReadBytes = 64 << 10;
// So that a peer that writes without end does not keep the rest of the loop waiting.
constexpr size_t kBytesPerTurn = 1 << 20;
// A few of the longest answers.
constexpr size_t kMaxQueuedBytes = 4 * kMaxPayloadBytes;

std::string FrameOf(char kind, std::span<const char> payload, size_t fds) {
  Writer header;
  header.U32(static_cast<uint32_t>(payload.size()));
  header.U8(static_cast<uint8_t>(kind));
  header.U8(static_cast<uint8_t>(fds));
  header.U16(0);
  std::string frame = header.Take();
  frame.append(payload.data(), payload.size());
  return frame;
}

}  // namespace

bool Channel::Break() {
  broken_ = true;
  queue_.clear();
  queued_bytes_ = 0;
  begun_.reset();
  header_.clear();
  received_fds_.clear();
  return false;
}

bool Channel::SendSome(Outgoing& frame, std::span<const int> fds) {
  while (frame.sent < frame.bytes.size()) {
    const auto left = std::span<const char>(frame.bytes).subspan(frame.sent);
    const auto with = frame.sent == 0 ? fds : std::span<const int>();
    auto sent = SendWithFds(connection_.get(), left, with);
    if (!sent.ok()) return Break();
    if (sent.value() == 0) return true;
    frame.sent += sent.value();
  }
  return true;
}

void Channel::Send(char kind, std::span<const char> payload, std::span<const int> fds) {
  Check(fds.size() <= kMaxFdsAtOnce, "a frame has too many descriptors");
  if (broken_) return;
  Outgoing frame{FrameOf(kind, payload, fds.size()), 0, {}};
  if (payload.size() > kMaxPayloadBytes || queued_bytes_ + frame.bytes.size() > kMaxQueuedBytes) {
    Break();
    return;
  }
  if (queue_.empty() && !SendSome(frame, fds)) return;
  if (frame.sent == frame.bytes.size()) return;
  for (const int fd : frame.sent == 0 ? fds : std::span<const int>()) {
    frame.fds.emplace_back(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    if (!frame.fds.back().valid()) {
      Break();
      return;
    }
  }
  queued_bytes_ += frame.bytes.size();
  queue_.push_back(std::move(frame));
}

bool Channel::PeerHasLeft() const {
  pollfd peer{fd(), POLLRDHUP, 0};
  return broken_ || (poll(&peer, 1, 0) == 1 && (peer.revents & (POLLRDHUP | POLLHUP)) != 0);
}

bool Channel::Flush() {
  while (!broken_ && !queue_.empty()) {
    Outgoing& frame = queue_.front();
    std::vector<int> fds;
    std::transform(frame.fds.begin(), frame.fds.end(), std::back_inserter(fds),
                   [](const UniqueFd& fd) { return fd.get(); });
    if (!SendSome(frame, fds)) return false;
    if (frame.sent < frame.bytes.size()) return true;
    queued_bytes_ -= frame.bytes.size();
    queue_.pop_front();
  }
  return !broken_;
}

bool Channel::Fill() {
  // Not zeroed: only as many pages are touched as there are bytes.
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init)
  std::array<char, kReadBytes> memory;
  for (size_t turn = 0; turn < kBytesPerTurn && !broken_;) {
    std::vector<UniqueFd> fds;
    const Io io = ReceiveWithFds(connection_.get(), memory, fds);
    if (io.would_block()) return true;
    if (!io.moved()) return Break();
    turn += io.count;
    std::move(fds.begin(), fds.end(), std::back_inserter(received_fds_));
    if (!Parse(std::span(memory).first(io.count))) return Break();
  }
  return !broken_;
}

bool Channel::Parse(std::span<const char> bytes) {
  while (!bytes.empty()) {
    if (!begun_) {
      const auto part = bytes.first(std::min(bytes.size(), kHeaderBytes - header_.size()));
      header_.append(part.data(), part.size());
      bytes = bytes.subspan(part.size());
      if (header_.size() < kHeaderBytes) break;
      if (!BeginFrame()) return false;
    }
    const auto part = bytes.first(std::min(bytes.size(), begun_bytes_ - begun_->payload.size()));
    begun_->payload.insert(begun_->payload.end(), part.begin(), part.end());
    bytes = bytes.subspan(part.size());
    if (begun_->payload.size() < begun_bytes_) break;
    frames_.push_back(std::move(*begun_));
    begun_.reset();
  }
  return received_fds_.size() <= kMaxFdsAtOnce;
}

bool Channel::BeginFrame() {
  Reader header(header_);
  begun_bytes_ = header.U32();
  begun_.emplace().kind = static_cast<char>(header.U8());
  const size_t fds = header.U8();
  header_.clear();
  if (begun_bytes_ > kMaxPayloadBytes || fds > received_fds_.size()) return false;
  const auto end = received_fds_.begin() + static_cast<ptrdiff_t>(fds);
  std::move(received_fds_.begin(), end, std::back_inserter(begun_->fds));
  received_fds_.erase(received_fds_.begin(), end);
  return true;
}

std::optional<Frame> Channel::Next() {
  if (frames_.empty()) return std::nullopt;
  Frame frame = std::move(frames_.front());
  frames_.pop_front();
  return frame;
}

}  // namespace spliceport::shim
