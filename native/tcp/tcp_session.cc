// Theory of operation
//
//   kAwaitingHeader  Only where a forward reads PROXY headers: the client's socket is in the epoll set until the header
//                is whole, and is out of it again before kConnecting. A header that is malformed or late, or a client
//                that leaves before, ends in a RST. Nothing is known of the session until then: its client, its begin
//                and its connect timeout are as of now.
//   kConnecting  The client is accepted and waits; nothing is read from it, its socket is not in the epoll set yet.
//                A socket in the container's namespace connects: its EPOLLOUT leads to kOpen, EPOLLERR to another
//                attempt. One that is refused or unreachable is repeated kConnectAttempts times, n * 5 ms after the
//                n-th, as clients of a starting container are used to; then, or at the connect timeout, the client
//                gets a RST. Without descriptors or memory for the socket it waits for them, until the same timeout.
//                A retarget starts it anew, at the new target and within the same timeout.
//                Where clients are shown, one of another family than the target's is led to the address that the
//                target's interface has of its own, and if nothing answers there, to the target.
//   kOpen        With a PROXY header to write, that goes out first.
//                Both sockets are in the epoll set, edge-triggered, once, for everything; the flags of StreamEnd keep
//                what the edges said. Each event runs both pumps; a pump that has nothing to do costs no call.
//                FIN:  a pump that has read EOF and passed everything on has the FIN sent on (shutdown(2)); the other
//                      direction goes on for as long as it likes. After both, close(2).
//                RST:  EPOLLERR, or a failed read or write, means that this end is dead, and leads to kResetting.
//                At a retarget, a session whose own address the namespace has lost ends: the client gets a RST. The
//                kernel sends none to the server, and would tell this side nothing for a quarter of an hour.
//                A session that lasts or turns to bulk may move to another worker: tcp_session_load.cc.
//                A call that fails for a reason of this machine's (IsPeersFault) says nothing of an end. The session
//                ends at once, and both ends get a RST: after a FIN, what was cut off would pass for whole.
//   kResetting   A RST must not overtake data. What the dead end had sent before it died is still in its receive queue
//                (Linux keeps it) and is passed on, with the FIN if one came first; then, when the living end has
//                acknowledged everything, its socket is closed with a RST (SO_LINGER 0). So it is once
//                kResetPatienceMicros went by in which nothing was read, nor passed on, nor acknowledged.
//   kClosed      Buried: later events and turns of the same batch find nothing to do.
//
// The timer serves one state at a time: the wait for the header in kAwaitingHeader, retry and connect timeout in
// kConnecting, the options of a session that lasts in kOpen, polling for acknowledgement in kResetting. An open session
// has none after its first seconds, and holds two descriptors and no pipe while it is idle.

#include "tcp/tcp_session.h"

#include <algorithm>
#include <utility>

#include "base/descriptor_budget.h"
#include "tcp/proxy_header.h"
#include "tcp/tcp_forward.h"

namespace spliceport {

namespace {

constexpr int kConnectAttempts = 10;
constexpr int64_t kRetryStepMicros = 5'000;
// A server that nobody has named is in this machine, and either answers at once or is kept apart by a firewall.
constexpr int64_t kCounterpartPatienceMicros = 1'000'000;
constexpr int64_t kExhaustionRetryMicros = 20'000;
// A session that is older is none of the short ones, which do without the calls for keepalive.
constexpr int64_t kSettledMicros = 3'000'000;

}  // namespace

TcpSession::TcpSession(TcpForward& forward, UniqueFd client_fd, const Address& client,
                       TargetPtr target)
    : forward_(&forward),
      target_(std::move(target)),
      client_(client),
      host_(*this),
      container_(*this),
      begun_micros_(NowMicros()),
      deadline_micros_(begun_micros_ + forward.limits().connect_timeout_micros),
      counted_at_(forward.reactor().worker) {
  host_.fd = std::move(client_fd);
  host_.tuned = true;
}

TcpSession::~TcpSession() {
  if (state_ != State::kClosed) ResetBoth();
}

void TcpSession::Start() {
  if (forward_->accept_proxy() == nullptr) return Connect();
  AwaitHeader();
}

void TcpSession::AwaitHeader() {
  state_ = State::kAwaitingHeader;
  // It is often there already.
  TakeHeader();
  if (state_ != State::kAwaitingHeader) return;
  Reactor& reactor = forward_->reactor();
  const auto added = reactor.epoll.Add(host_.fd.get(), kEvents, host_);
  if (!added.ok()) {
    connect_error_ = -added.error().code;
    return GiveUpConnecting(SessionEnding::kConnectFailed);
  }
  reactor.timers.Arm(*this, begun_micros_ + forward_->accept_proxy()->header_timeout_micros);
}

void TcpSession::TakeHeader() {
  ProxyReading reading = TakeProxyHeader(forward_->reactor(), host_);
  if (reading.verdict == ProxyVerdict::kIncomplete) return;
  if (reading.verdict == ProxyVerdict::kMalformed) {
    forward_->counters().proxy_headers_malformed.Add();
    return Refuse(SessionEnding::kProxyMalformed);
  }
  header_bytes_ = static_cast<uint16_t>(reading.size);
  if (reading.header.ends) {
    client_ = reading.header.ends->client;
    if (!forward_->Permits(client_)) return Refuse(SessionEnding::kDenied);
  }
  if (forward_->WritesProxyHeaders())
    told_ = std::make_unique<ProxyHeader>(std::move(reading.header));
  if (armed()) {
    forward_->reactor().timers.Cancel(*this);
    forward_->reactor().epoll.Remove(host_.fd.get());
  }
  state_ = State::kConnecting;
  begun_micros_ = NowMicros();
  deadline_micros_ = begun_micros_ + forward_->limits().connect_timeout_micros;
  Connect();
}

void TcpSession::Refuse(SessionEnding why) {
  ResetOnClose(host_.fd.get());
  End(why);
}

void TcpSession::Connect() {
  Reactor& reactor = forward_->reactor();
  // A client that is still waiting goes where the forward leads now, not where it led when the client came.
  target_ = forward_->target();
  const auto entered = reactor.netns.Enter(target_->netns);
  if (!entered.ok()) return RetryConnect(-entered.error().code);
  const auto opened = OpenContainerSide();
  if (!opened.ok()) return RetryConnect(-opened.error().code);
  const auto added = reactor.epoll.Add(container_.fd.get(), kEvents, container_);
  if (!added.ok()) return RetryConnect(-added.error().code);
  const int64_t patience =
      LeadsToCounterpart() ? NowMicros() + kCounterpartPatienceMicros : INT64_MAX;
  reactor.timers.Arm(*this, std::min(patience, deadline_micros_));
}

Result<void> TcpSession::OpenContainerSide() {
  if (forward_->source_address() == SourceAddress::kTransparent) {
    auto as_client =
        ConnectAsClient(forward_->reactor().client_routes, target_->netns, Protocol::kTcp,
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
    if (attempts_ == kConnectAttempts) return GiveUpConnecting(SessionEnding::kConnectFailed);
    if (LeadsToCounterpart()) counterpart_ = Counterpart::kAvoided;
    delay = attempts_ * kRetryStepMicros;
    if (++attempts_ < kConnectAttempts) forward_->counters().connect_retries.Add();
  }
  forward_->reactor().timers.Arm(*this, std::min(NowMicros() + delay, deadline_micros_));
}

void TcpSession::GiveUpConnecting(SessionEnding why) {
  forward_->counters().connect_failures.Add();
  if (why == SessionEnding::kConnectFailed) forward_->counters().connect_error.Set(connect_error_);
  ResetOnClose(host_.fd.get());
  End(why);
}

void TcpSession::OnTimer() {
  if (state_ == State::kOpen) return KeepAlive();
  if (state_ == State::kResetting) return AdvanceReset();
  if (state_ == State::kAwaitingHeader) {
    forward_->counters().proxy_headers_late.Add();
    return Refuse(SessionEnding::kProxyLate);
  }
  if (NowMicros() >= deadline_micros_) {
    forward_->counters().connect_timeouts.Add();
    return GiveUpConnecting(SessionEnding::kConnectTimeout);
  }
  if (attempts_ == kConnectAttempts) return GiveUpConnecting(SessionEnding::kConnectFailed);
  if (container_.fd.valid()) return RetryConnect(ETIMEDOUT);
  Connect();
}

void TcpSession::OnConnectEvent(uint32_t events) {
  if (!(events & (EPOLLERR | EPOLLHUP))) {
    if (!container_.writable) return;
    if (IsConnectedToItself(container_.fd.get(), server())) {
      // A FIN would keep the server's port for a minute.
      ResetOnClose(container_.fd.get());
      return RetryConnect(ECONNREFUSED);
    }
    if (Open() && Introduce()) Advance();
    return;
  }
  const int error = TakeError(container_.fd.get());
  if (error != ECONNRESET && error != EPIPE) return RetryConnect(error);
  // It was established, and has been reset since.
  if (Open()) BeginReset(container_);
}

bool TcpSession::Open() {
  const int64_t now = NowMicros();
  forward_->reactor().timers.Arm(*this, now + kSettledMicros);
  connect_micros_ = now - begun_micros_;
  forward_->counters().RecordConnect(static_cast<uint64_t>(connect_micros_));
  state_ = State::kOpen;
  if (forward_->source_address() == SourceAddress::kTransparent && !lease_)
    forward_->counters().source_address_fallbacks.Add();
  const auto added = forward_->reactor().epoll.Add(host_.fd.get(), kEvents, host_);
  if (!added.ok()) {
    Break();
    return false;
  }
  // Most clients have spoken by now; the first edge would only say so.
  host_.readable = host_.writable = container_.writable = true;
  return true;
}

// The PROXY header goes out at once, for a server that speaks first, and in one segment with what the client has said.
// False when the session has left kOpen.
bool TcpSession::Introduce() {
  if (!forward_->WritesProxyHeaders()) return true;
  const std::string header = forward_->IntroductionOf(client_, host_.fd.get(), told_.get());
  told_.reset();
  return Settle(to_container_.Begin(forward_->reactor(), host_, container_, header), host_,
                container_, container_got_end_);
}

void TcpSession::OnSideEvents(Side& side, uint32_t events) {
  if (state_ == State::kClosed) return;
  if (events & EPOLLIN) side.readable = true;
  if (events & EPOLLPRI) side.urgent = true;
  if (events & EPOLLOUT) side.writable = true;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) side.hung_up = side.readable = true;
  if (state_ == State::kAwaitingHeader) return TakeHeader();
  if (state_ == State::kConnecting) return OnConnectEvent(events);
  if (state_ == State::kResetting) return AdvanceReset();
  // Reads tell of a reset too, but not after the same side's FIN, nor while the other side takes nothing more.
  const bool read_to_its_end = (&side == &host_ ? to_container_ : to_host_).source_at_end();
  if ((events & EPOLLERR) || (read_to_its_end && (events & EPOLLHUP))) return BeginReset(side);
  Advance();
}

void TcpSession::OnTurn() {
  if (std::exchange(is_to_move_, false) && state_ == State::kOpen) {
    Reactor& reactor = forward_->reactor();
    if (const auto to = reactor.balance.BetterThan(reactor.worker, load_)) return MoveTo(*to);
  }
  if (state_ == State::kOpen) Advance();
  if (state_ == State::kResetting) AdvanceReset();
}

void TcpSession::Advance() {
  if (!RunPump(to_container_, host_, container_, container_got_end_)) return;
  if (!RunPump(to_host_, container_, host_, host_got_end_)) return;
  Count();
  if (container_got_end_ && host_got_end_) {
    if (lease_) KeepWayBack();
    return End(SessionEnding::kFin);
  }
  NoteLoad();
}

// False when the session has left kOpen.
bool TcpSession::RunPump(Pump& pump, Side& from, Side& to, bool& passed_end) {
  return passed_end || Settle(pump.Run(forward_->reactor(), from, to), from, to, passed_end);
}

bool TcpSession::Settle(PumpState state, Side& from, Side& to, bool& passed_end) {
  switch (state) {
    case PumpState::kIdle:
    case PumpState::kBlocked:
      return true;
    case PumpState::kYield:
      forward_->reactor().QueueTurn(*this);
      return true;
    case PumpState::kFinished:
      passed_end = true;
      // When this was the last direction, close(2) sends the FIN and saves the call.
      if (!container_got_end_ || !host_got_end_) ShutdownWrite(to.fd.get());
      return true;
    case PumpState::kSourceFailed:
      BeginReset(from);
      return false;
    case PumpState::kSinkFailed:
      BeginReset(to);
      return false;
    case PumpState::kBroken:
      Break();
      return false;
  }
  return true;
}

void TcpSession::Count() {
  ForwardCounters& counters = forward_->counters();
  counters.bytes_to_container.Add(to_container_.bytes() - counted_to_container_);
  counters.bytes_to_host.Add(to_host_.bytes() - counted_to_host_);
  counted_to_container_ = to_container_.bytes();
  counted_to_host_ = to_host_.bytes();
  counters.pipe_fallbacks.Add(to_container_.TakeFallbacks() + to_host_.TakeFallbacks());
}

SessionInfo TcpSession::Describe() const {
  SessionState state = SessionState::kOpen;
  if (state_ == State::kConnecting || state_ == State::kAwaitingHeader)
    state = SessionState::kConnecting;
  if (state_ == State::kOpen && (container_got_end_ || host_got_end_))
    state = SessionState::kHalfClosed;
  if (state_ == State::kResetting) state = SessionState::kResetting;
  return {forward_->id(),        Protocol::kTcp,   state,
          client_.Unmapped(),    server(),         SourceOf(container_.fd),
          to_container_.bytes(), to_host_.bytes(), NowMicros() - begun_micros_};
}

}  // namespace spliceport
