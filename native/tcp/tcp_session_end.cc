// How a session ends, and how it moves between workers. tcp_session.cc documents what FIN and RST
// do, tcp_session.h the states.

#include <algorithm>
#include <utility>

#include "tcp/tcp_forward.h"
#include "tcp/tcp_session.h"

namespace spliceport {

namespace {

constexpr int64_t kResetTimeoutMicros = 5'000'000;
constexpr int64_t kResetPollMicros = 500;
constexpr uint8_t kMaxResetPollDoublings = 7;

}  // namespace

// After close(2) the kernel still has to deliver what was sent, and the server's acknowledgements
// need the lease.
void TcpSession::LingerUntilAcked() {
  if (UnacknowledgedBytes(container_.fd.get()) == 0) return;
  ShutdownWrite(container_.fd.get());
  reactor().epoll.Remove(container_.fd.get());
  reactor().client_routes.KeepUntilAcknowledged(std::move(container_.fd), std::move(lease_));
}

// With a lease, the socket has the client's address, which no interface has. Then the server's
// address must be one of the namespace's.
bool TcpSession::HasLostAddress(AddressCheck& addresses) const {
  return addresses.IsGone(target_->netns, lease_ ? server() : SourceOf(container_.fd));
}

// A session that is resetting ends soon anyway, and its client may still have data to receive.
void TcpSession::FollowRetarget(AddressCheck& addresses) {
  if (state_ == State::kConnecting) {
    if (target_->IsSameAs(*forward_->target()) && !HasLostAddress(addresses)) return;
    static_cast<StreamEnd&>(container_) = StreamEnd();
    lease_.reset();
    attempts_ = 0;
    counterpart_ = Counterpart::kAllowed;
    counters().connect_retries.Add();
    return Connect();
  }
  if (state_ != State::kOpen || !HasLostAddress(addresses)) return;
  counters().sessions_reset.Add();
  ResetBoth();
  End(SessionEnding::kAddressGone);
}

void TcpSession::BeginReset(Side& side) {
  counters().sessions_reset.Add();
  state_ = State::kResetting;
  reset_side_ = &side;
  side.hung_up = side.readable = true;
  deadline_micros_ = NowMicros() + kResetTimeoutMicros;
  (&side == &host_ ? to_host_ : to_container_).Abandon(reactor());
  AdvanceReset();
}

void TcpSession::AdvanceReset() {
  Side& other = reset_side_ == &host_ ? container_ : host_;
  Pump& drain_pump = reset_side_ == &host_ ? to_container_ : to_host_;
  const uint64_t passed_on = drain_pump.bytes();
  bool& passed_end = reset_side_ == &host_ ? container_got_end_ : host_got_end_;
  const PumpState state = drain_pump.Run(reactor(), *reset_side_, other);
  const uint64_t read = drain_pump.bytes() + (reset_side_ == &host_ ? header_bytes_ : 0);
  if (state == PumpState::kFinished && !passed_end && !reset_side_->urgent &&
      HasReceivedFin(reset_side_->fd.get(), read)) {
    passed_end = true;
    ShutdownWrite(other.fd.get());
  }
  const int64_t now = NowMicros();
  const uint64_t before = std::exchange(
      unacked_bytes_, drain_pump.backlog_bytes() + UnacknowledgedBytes(other.fd.get()));
  if (drain_pump.bytes() > passed_on || unacked_bytes_ < before)
    deadline_micros_ = now + kResetTimeoutMicros;
  if (state == PumpState::kYield) return reactor().QueueTurn(*this);
  if (state == PumpState::kBroken) return Fail();
  const bool may_wait = now < deadline_micros_ && state != PumpState::kSinkFailed;
  if (may_wait && (state == PumpState::kBlocked || unacked_bytes_ > 0)) {
    const int64_t wait = kResetPollMicros << std::min(reset_polls_++, kMaxResetPollDoublings);
    return reactor().timers.Arm(*this, now + wait);
  }
  ResetOnClose(other.fd.get());
  End(reset_side_ == &host_ ? SessionEnding::kClientReset : SessionEnding::kServerReset);
}

void TcpSession::Fail() {
  counters().local_failures.Add();
  ResetBoth();
  End(SessionEnding::kLocalFailure);
}

void TcpSession::Abort(SessionEnding why) {
  ResetBoth();
  Close(why);
}

void TcpSession::ResetBoth() {
  if (host_.fd.valid()) ResetOnClose(host_.fd.get());
  if (container_.fd.valid()) ResetOnClose(container_.fd.get());
}

void TcpSession::Close(SessionEnding why) {
  Count();
  if (config().session_log) LogEnd(why);
  load_.End(reactor().balance);
  state_ = State::kClosed;
  reactor().timers.Cancel(*this);
  reactor().CancelTurn(*this);
  to_container_.Abandon(reactor());
  to_host_.Abandon(reactor());
  reactor().epoll.Forget(host_);
  reactor().epoll.Forget(container_);
  host_.fd.Reset();
  container_.fd.Reset();
  lease_.reset();
}

void TcpSession::End(SessionEnding why) {
  Close(why);
  forward_->Release(*this);
}

void TcpSession::LogEnd(SessionEnding why) const {
  const bool has_connected = connect_micros_ >= 0;
  reactor().LogEnded(config().session_log.get(),
                     {.forward_id = config().id,
                      .protocol = Protocol::kTcp,
                      .ending = why,
                      .error = has_connected ? 0 : connect_error_,
                      .client = client_.Unmapped(),
                      .target = server(),
                      .bytes_to_container = to_container_.bytes(),
                      .bytes_to_host = to_host_.bytes(),
                      .duration_micros = NowMicros() - begun_micros_,
                      .connect_micros = connect_micros_},
                     counters());
}

void TcpSession::MoveTo(size_t worker) {
  // The timer can only be the one for keepalive.
  if (armed()) KeepAlive();
  reactor().timers.Cancel(*this);
  for (Side* side : {&host_, &container_}) {
    reactor().epoll.Remove(side->fd.get());
    reactor().epoll.Forget(*side);
  }
  load_.CountFor(reactor().balance, worker);
  if (lease_) lease_->AttachTo(nullptr);
  // The other worker may have it before this returns.
  forward_->Move(*this, worker);
}

void TcpSession::AttachTo(TcpForward& forward) {
  forward_ = &forward;
  if (lease_) lease_->AttachTo(&reactor().client_routes);
  load_.CountFor(reactor().balance, reactor().worker);
}

void TcpSession::Resume() {
  for (Side* side : {&host_, &container_}) {
    if (!reactor().epoll.Add(side->fd.get(), kEvents, *side).ok()) return Fail();
    side->readable = side->writable = true;
  }
  Advance();
}

}  // namespace spliceport
