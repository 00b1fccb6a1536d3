// How a session connects to its server, and waits for it. tcp_session.cc documents when it gives
// up, tcp_session.h the states.

#include <algorithm>
#include <utility>

#include "base/descriptor_budget.h"
#include "tcp/tcp_forward.h"
#include "tcp/tcp_session.h"

namespace spliceport {

namespace {

// As many, and as far apart, as in the packaged rootlessport. As there, a wait follows the last one
// too: 225 ms in all.
constexpr int kConnectAttempts = 10;
constexpr int64_t kRetryStepMicros = 5'000;
// A server at the counterpart address is on this machine, so it answers at once, or a firewall is
// in the way.
constexpr int64_t kCounterpartTimeoutMicros = 1'000'000;
constexpr int64_t kExhaustionRetryMicros = 20'000;
constexpr int64_t kLongestWaitPauseMicros = 1'000'000;

}  // namespace

void TcpSession::Connect() {
  // A client that is still waiting gets the forward's current target, not the one of its arrival.
  target_ = forward_->target();
  const auto entered = reactor().netns.Enter(target_->netns);
  if (!entered.ok()) return RetryConnect(-entered.error().code);
  const auto opened = OpenContainerSide();
  if (!opened.ok()) return RetryConnect(-opened.error().code);
  const auto added = reactor().epoll.Add(container_.fd.get(), kEvents, container_);
  if (!added.ok()) return RetryConnect(-added.error().code);
  const int64_t patience =
      LeadsToCounterpart() ? kCounterpartTimeoutMicros : config().limits.connect_timeout_micros;
  reactor().timers.Arm(*this, std::min(NowMicros() + patience, deadline_micros_));
}

Result<void> TcpSession::OpenContainerSide() {
  if (config().source_address == SourceAddress::kTransparent) {
    auto as_client = ConnectAsClient(reactor().client_routes, target_->netns, Protocol::kTcp,
                                     client_.Unmapped(), target_->address, counterpart_);
    if (as_client.ok()) {
      container_.fd = std::move(as_client.value().fd);
      lease_ = std::move(as_client.value().lease);
      return {};
    }
    lease_.reset();
    if (IsExhaustion(-as_client.error().code)) return as_client.error();
  }
  auto opened = OpenStreamSocket(target_->address.is_v6());
  if (!opened.ok()) return opened.error();
  if (!DescriptorBudget::OfProcess().HasRoomFor(opened.value().get()))
    return SysError{-EMFILE, "socket"};
  container_.fd = std::move(opened.value());
  return StartConnect(container_.fd.get(), target_->address);
}

void TcpSession::RetryConnect(int error) {
  static_cast<StreamEnd&>(container_) = StreamEnd();
  connect_error_ = error;
  int64_t delay = kExhaustionRetryMicros;
  if (IsExhaustion(error)) {
    forward_->PauseAccepting();
  } else {
    const int64_t now = NowMicros();
    const bool is_patient = now < PatientUntil();
    if (attempts_ == kConnectAttempts && !is_patient)
      return GiveUpConnecting(SessionEnding::kConnectFailed);
    if (LeadsToCounterpart()) counterpart_ = Counterpart::kAvoided;
    delay = attempts_ * kRetryStepMicros;
    if (attempts_ == kConnectAttempts)
      delay = std::clamp((now - begun_micros_) / 8, delay, kLongestWaitPauseMicros);
    if (attempts_ < kConnectAttempts) ++attempts_;
    if (attempts_ < kConnectAttempts || is_patient) counters().connect_retries.Add();
    if (attempts_ == kConnectAttempts && is_patient) BeginWait();
    if (is_patient) delay = std::min(delay, PatientUntil() - now);
  }
  reactor().timers.Arm(*this, std::min(NowMicros() + delay, deadline_micros_));
}

void TcpSession::GiveUpConnecting(SessionEnding why) {
  counters().connect_failures.Add();
  if (why == SessionEnding::kConnectFailed) counters().connect_error.Set(connect_error_);
  if (config().first_failure) config().first_failure->OnFailed({why, connect_error_});
  ResetOnClose(host_.fd.get());
  End(why);
}

void TcpSession::ContinueConnecting() {
  const int64_t now = NowMicros();
  if (now >= deadline_micros_) {
    if (waits_ && !container_.fd.valid() && !IsExhaustion(connect_error_))
      return GiveUpConnecting(SessionEnding::kConnectFailed);
    counters().connect_timeouts.Add();
    return GiveUpConnecting(SessionEnding::kConnectTimeout);
  }
  if (attempts_ == kConnectAttempts && now >= PatientUntil())
    return GiveUpConnecting(SessionEnding::kConnectFailed);
  if (container_.fd.valid()) return RetryConnect(ETIMEDOUT);
  Connect();
}

int64_t TcpSession::PatientUntil() const {
  return begun_micros_ + config().limits.wait_for_server_micros;
}

void TcpSession::SetConnectDeadline() {
  deadline_micros_ =
      std::max(begun_micros_ + config().limits.connect_timeout_micros, PatientUntil());
}

void TcpSession::BeginWait() {
  if (std::exchange(waits_, true)) return;
  counters().server_waits.Add();
  // Without it, the client waits in the same way, but its end goes unnoticed.
  watches_client_ = reactor().epoll.Add(host_.fd.get(), kEvents, host_).ok();
}

void TcpSession::OnClientWaiting(uint32_t events) {
  if (events & (EPOLLERR | EPOLLHUP)) {
    counters().sessions_reset.Add();
    return End(SessionEnding::kClientReset);
  }
  if (!(events & EPOLLRDHUP) || !HasReceivedFin(host_.fd.get(), header_bytes_)) return;
  connect_error_ = 0;
  End(SessionEnding::kFin);
}

}  // namespace spliceport
