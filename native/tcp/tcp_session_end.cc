// How a session ends; tcp_session.cc has the states and what FIN and RST do.

#include <algorithm>
#include <utility>

#include "tcp/tcp_forward.h"
#include "tcp/tcp_session.h"

namespace spliceport {

namespace {

constexpr int64_t kResetPatienceMicros = 5'000'000;
constexpr int64_t kResetPollMicros = 500;
constexpr uint8_t kMostResetPollDoublings = 7;

}  // namespace

// After a close the kernel still has to bring what was sent to the server, whose acknowledgements need the lease.
void TcpSession::KeepWayBack() {
  if (UnacknowledgedBytes(container_.fd.get()) == 0) return;
  ShutdownWrite(container_.fd.get());
  forward_->reactor().epoll.Remove(container_.fd.get());
  forward_->reactor().client_routes.KeepUntilAcknowledged(std::move(container_.fd),
                                                          std::move(lease_));
}

// A lease's session has the client's address on this side, which no interface has; there the server's must be one.
bool TcpSession::IsCutOff(AddressCheck& addresses) const {
  return addresses.IsGone(target_->netns, lease_ ? server() : SourceOf(container_.fd));
}

// One that is resetting ends soon in any case, and its client may have last words to get.
void TcpSession::FollowRetarget(AddressCheck& addresses) {
  if (state_ == State::kConnecting) {
    if (target_->IsSameAs(*forward_->target()) && !IsCutOff(addresses)) return;
    static_cast<StreamEnd&>(container_) = StreamEnd();
    lease_.reset();
    attempts_ = 0;
    counterpart_ = Counterpart::kAllowed;
    forward_->counters().connect_retries.Add();
    return Connect();
  }
  if (state_ != State::kOpen || !IsCutOff(addresses)) return;
  forward_->counters().sessions_reset.Add();
  ResetBoth();
  End(SessionEnding::kAddressGone);
}

void TcpSession::BeginReset(Side& dead) {
  forward_->counters().sessions_reset.Add();
  state_ = State::kResetting;
  dead_ = &dead;
  dead.hung_up = dead.readable = true;
  deadline_micros_ = NowMicros() + kResetPatienceMicros;
  (&dead == &host_ ? to_host_ : to_container_).Abandon(forward_->reactor());
  AdvanceReset();
}

void TcpSession::AdvanceReset() {
  Side& living = dead_ == &host_ ? container_ : host_;
  Pump& last_words = dead_ == &host_ ? to_container_ : to_host_;
  const uint64_t passed_on = last_words.bytes();
  bool& passed_end = dead_ == &host_ ? container_got_end_ : host_got_end_;
  const PumpState state = last_words.Run(forward_->reactor(), *dead_, living);
  const uint64_t read = last_words.bytes() + (dead_ == &host_ ? header_bytes_ : 0);
  if (state == PumpState::kFinished && !passed_end && !dead_->urgent &&
      HasReceivedFin(dead_->fd.get(), read)) {
    passed_end = true;
    ShutdownWrite(living.fd.get());
  }
  const int64_t now = NowMicros();
  const uint64_t before =
      std::exchange(owed_bytes_, last_words.backlog_bytes() + UnacknowledgedBytes(living.fd.get()));
  if (last_words.bytes() > passed_on || owed_bytes_ < before)
    deadline_micros_ = now + kResetPatienceMicros;
  if (state == PumpState::kYield) return forward_->reactor().QueueTurn(*this);
  if (state == PumpState::kBroken) return Break();
  const bool patient = now < deadline_micros_ && state != PumpState::kSinkFailed;
  if (patient && (state == PumpState::kBlocked || owed_bytes_ > 0)) {
    const int64_t wait = kResetPollMicros << std::min(reset_polls_++, kMostResetPollDoublings);
    return forward_->reactor().timers.Arm(*this, now + wait);
  }
  ResetOnClose(living.fd.get());
  End(dead_ == &host_ ? SessionEnding::kClientReset : SessionEnding::kServerReset);
}

void TcpSession::Break() {
  forward_->counters().local_failures.Add();
  ResetBoth();
  End(SessionEnding::kLocalFailure);
}

void TcpSession::Cut(SessionEnding why) {
  ResetBoth();
  Close(why);
}

void TcpSession::ResetBoth() {
  if (host_.fd.valid()) ResetOnClose(host_.fd.get());
  if (container_.fd.valid()) ResetOnClose(container_.fd.get());
}

void TcpSession::Close(SessionEnding why) {
  Count();
  if (forward_->session_log() != nullptr) Tell(why);
  forward_->reactor().balance.End(forward_->reactor().worker, std::exchange(load_, Load::kUnknown));
  state_ = State::kClosed;
  forward_->reactor().timers.Cancel(*this);
  forward_->reactor().CancelTurn(*this);
  to_container_.Abandon(forward_->reactor());
  to_host_.Abandon(forward_->reactor());
  forward_->reactor().epoll.Forget(host_);
  forward_->reactor().epoll.Forget(container_);
  host_.fd.Reset();
  container_.fd.Reset();
  lease_.reset();
}

void TcpSession::End(SessionEnding why) {
  Close(why);
  forward_->Release(*this);
}

void TcpSession::Tell(SessionEnding why) const {
  const bool has_connected = connect_micros_ >= 0;
  forward_->reactor().Tell(forward_->session_log(),
                           {.forward_id = forward_->id(),
                            .protocol = Protocol::kTcp,
                            .ending = why,
                            .error = has_connected ? 0 : connect_error_,
                            .client = client_.Unmapped(),
                            .target = server(),
                            .bytes_to_container = to_container_.bytes(),
                            .bytes_to_host = to_host_.bytes(),
                            .duration_micros = NowMicros() - begun_micros_,
                            .connect_micros = connect_micros_},
                           forward_->counters());
}

}  // namespace spliceport
