// What a session does when it turns to bulk
//
// Socket buffers: with the kernel's auto-tuning, megabytes queue between the forwarder and where the bytes go, and fall
// out of the processor's cache. When a direction turns to bulk, the socket that it is sent on gets a fixed, small send
// buffer, if the round trip there is short. A distant client needs more bytes on the way, so it keeps the tuning; and
// receive buffers are always the kernel's, so that no window is held down.
//
// Worker: a session that turns to bulk where others are in bulk, while another worker has fewer, moves there as it is, with
// what its pumps hold (balance.h says why). It leaves in a turn of its own, for only then does no event or turn of the
// batch in hand name it.

#include <utility>

#include "tcp_forward.h"
#include "tcp_session.h"

namespace spliceport {

namespace {

// Measured, with its neighbors, in docs/architecture.md.
constexpr int kSmallSendBytes = 128 << 10;

}  // namespace

void TcpSession::NoteBulk() {
  if (to_container_.bulk()) HoldSendBuffer(container_);
  if (to_host_.bulk()) HoldSendBuffer(host_);
  const bool bulk = to_container_.bulk() || to_host_.bulk();
  if (std::exchange(in_bulk_, bulk) == bulk) return;
  Reactor& reactor = forward_->reactor();
  if (!bulk) return reactor.balance.End(reactor.worker);
  reactor.balance.Begin(reactor.worker);
  is_to_move_ = reactor.balance.BetterThan(reactor.worker).has_value();
  if (is_to_move_) reactor.QueueTurn(*this);
}

void TcpSession::MoveTo(size_t worker) {
  Reactor& reactor = forward_->reactor();
  for (Side* side : {&host_, &container_}) {
    reactor.epoll.Remove(side->fd.get());
    reactor.epoll.Forget(*side);
  }
  reactor.balance.End(reactor.worker);
  reactor.balance.Begin(worker);
  if (lease_) lease_->BelongTo(nullptr);
  // The other worker may have it before this returns.
  forward_->Move(*this, worker);
}

void TcpSession::Resume() {
  if (lease_) lease_->BelongTo(&forward_->reactor().client_routes);
  for (Side* side : {&host_, &container_}) {
    if (!forward_->reactor().epoll.Add(side->fd.get(), kEvents, *side).ok()) {
      ResetBoth();
      return End();
    }
    side->readable = side->writable = true;
  }
  Advance();
}

void TcpSession::HoldSendBuffer(Side& side) {
  if (std::exchange(side.settled_for_bulk, true)) return;
  const uint32_t near = forward_->reactor().near_rtt_micros;
  if (near == 0) return;
  // The container is on this machine.
  if (&side == &container_ || MinRoundTripMicros(side.fd.get()) <= near)
    SetSendBuffer(side.fd.get(), kSmallSendBytes);
}

}  // namespace spliceport
