// What a session does once it is known what it is to its worker
//
// Keepalive: a server may vanish while the session waits for it, after a single small request or none. Then only keepalive
// ends it. The client's side has it from its listener; the container's gets it when the session is some seconds old.
//
// Socket buffers: with the kernel's auto-tuning, megabytes queue between the forwarder and where the bytes go, and fall
// out of the processor's cache. When a direction turns to bulk, the socket that it is sent on gets a fixed, small send
// buffer, if the round trip there is short. A distant client needs more bytes on the way, so it keeps the tuning; and
// receive buffers are always the kernel's, so that no window is held down.
//
// Worker: a session that turns to bulk, or has lasted for kAdvancesOfOneThatLasts events, moves to a worker that suits it
// better, as it is, with what its pumps hold (balance.h says why). One with messages asks again after as many events, since
// which worker that is depends on how many others there are. A short connection is served to its end where it
// was accepted, since a move costs ten system calls, as five messages do; and one that falls back from bulk stays, lest
// it goes to and fro. It leaves in a turn of its own, for only then does no event or turn of the batch in hand name it.

#include <utility>

#include "tcp/tcp_forward.h"
#include "tcp/tcp_session.h"

namespace spliceport {

namespace {

// Measured, with its neighbors, in docs/architecture.md.
constexpr int kSmallSendBytes = 128 << 10;
constexpr uint8_t kAdvancesOfOneThatLasts = 64;

}  // namespace

Load TcpSession::LoadNow(bool lasts) const {
  if (to_container_.bulk() || to_host_.bulk()) return Load::kBulk;
  return lasts || load_ != Load::kUnknown ? Load::kMessages : Load::kUnknown;
}

void TcpSession::KeepAlive() { SetKeepalive(container_.fd.get(), forward_->limits().keepalive); }

void TcpSession::NoteLoad() {
  if (to_container_.bulk()) HoldSendBuffer(container_);
  if (to_host_.bulk()) HoldSendBuffer(host_);
  const bool is_time = ++advances_ == kAdvancesOfOneThatLasts;
  if (is_time) advances_ = 0;
  const Load before = std::exchange(load_, LoadNow(is_time));
  const bool was_bulk = host_.settled_for_bulk || container_.settled_for_bulk;
  if (load_ == before && (!is_time || was_bulk)) return;
  Reactor& reactor = forward_->reactor();
  if (load_ != before) {
    reactor.balance.End(reactor.worker, before);
    reactor.balance.Begin(reactor.worker, load_);
  }
  is_to_move_ =
      before != Load::kBulk && reactor.balance.BetterThan(reactor.worker, load_).has_value();
  if (is_to_move_) reactor.QueueTurn(*this);
}

void TcpSession::MoveTo(size_t worker) {
  Reactor& reactor = forward_->reactor();
  // It waits for the time of keepalive.
  if (armed()) KeepAlive();
  reactor.timers.Cancel(*this);
  for (Side* side : {&host_, &container_}) {
    reactor.epoll.Remove(side->fd.get());
    reactor.epoll.Forget(*side);
  }
  reactor.balance.End(reactor.worker, load_);
  reactor.balance.Begin(worker, load_);
  counted_at_ = worker;
  if (lease_) lease_->BelongTo(nullptr);
  // The other worker may have it before this returns.
  forward_->Move(*this, worker);
}

void TcpSession::BelongTo(TcpForward& forward) {
  forward_ = &forward;
  Reactor& reactor = forward.reactor();
  if (lease_) lease_->BelongTo(&reactor.client_routes);
  if (counted_at_ == reactor.worker) return;
  // It has come back, because the part that it was sent to is gone.
  reactor.balance.End(std::exchange(counted_at_, reactor.worker), load_);
  reactor.balance.Begin(reactor.worker, load_);
}

void TcpSession::Resume() {
  for (Side* side : {&host_, &container_}) {
    if (!forward_->reactor().epoll.Add(side->fd.get(), kEvents, *side).ok()) return Break();
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
