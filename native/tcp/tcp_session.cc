// Theory of operation (tcp_session.h has the table of states)
//
//   kAwaitingHeader
//     Only if the forward reads PROXY headers. The client's socket is in the epoll set until the
//     header is complete, and leaves it before kConnecting. A header that is malformed or late, or
//     a client that leaves before, ends in a RST. The session begins after that: its client, its
//     start and its connect timeout are not known earlier.
//   kConnecting
//     The client waits. Nothing is read from it, and its socket is not in the epoll set. A socket
//     in the container's namespace connects: EPOLLOUT leads to kOpen, EPOLLERR to another attempt.
//     If the target refuses or is unreachable, there are kConnectAttempts attempts, n * 5 ms after
//     the n-th: clients of a container that is starting are used to that. Then, or at the connect
//     timeout, the client gets a RST. If descriptors or memory run out, the session waits for them,
//     within the same timeout. A retarget starts again with the new target, within the same
//     timeout.
//     With a time to wait for the server, the attempts go on until it is over, an eighth of the
//     time waited so far apart: a server is found soon after it has come, and one that does not
//     come costs little. The connect timeout is then that of each attempt. The client's socket
//     joins the epoll set, to notice a RST, or a FIN of a client that has sent nothing: both are
//     gone. A FIN after data may come from a client that awaits its answer. With the client's
//     address shown, a client of another family than the target's is led to the address that the
//     target's interface has of its family. If nothing answers there, it is led to the target.
//   kOpen
//     A PROXY header to be written goes out first.
//     Both sockets are in the epoll set, edge-triggered, once, for everything; the flags of
//     StreamEnd keep what the edges said. Each event runs both pumps; a pump that has nothing to do
//     costs no call.
//     FIN: a pump that has read EOF and passed everything on has the FIN sent (shutdown(2)). The
//     other direction continues for as long as it likes. After both, close(2).
//     RST: EPOLLERR, or a failed read or write, means that this end is dead, and leads to
//     kResetting.
//     Failure: a call that fails for a reason of this machine (not IsPeerError) says nothing about
//     either end. The session ends at once, and both ends get a RST: after a FIN, truncated data
//     would pass for complete.
//     Retarget: a session whose own address the namespace has lost ends, and the client gets a RST.
//     The kernel sends none to the server, and would report nothing here for a quarter of an hour.
//     Move: a session that lasts or turns to bulk may move to another worker (session_load.cc).
//     Keepalive: a server may vanish while the session waits for it, after one small request or
//     none. Then only keepalive ends the session. The client's side inherits it from the listener;
//     the container's gets it when the session is some seconds old.
//     Socket buffers: with the kernel's auto-tuning, megabytes queue between the forwarder and the
//     receiver, and fall out of the CPU's cache. When a direction turns to bulk, the socket that it
//     sends on gets a fixed, small send buffer, if the round trip there is short. A distant client
//     needs more bytes in flight, so it keeps the tuning. Receive buffers are always the kernel's,
//     so that no window is held down.
//   kResetting
//     A RST must not overtake data. What the dead end sent before it died is still in its receive
//     queue (Linux keeps it) and is passed on, with the FIN if one came first. Once the other end
//     has acknowledged everything, its socket is closed with a RST (SO_LINGER 0). The same happens
//     after kResetTimeoutMicros in which nothing was read, passed on or acknowledged.
//   kClosed
//     The session is freed after the batch: later events and turns of the batch find nothing to do.
//
// The timer serves one state at a time: the wait for the header, retry and connect timeout, the
// keepalive of a session that lasts, polling for acknowledgement. An open session has no timer
// after its first seconds, and holds two descriptors and no pipe while it is idle.

#include "tcp/tcp_session.h"

#include <algorithm>
#include <utility>

#include "tcp/proxy_header.h"
#include "tcp/tcp_forward.h"

namespace spliceport {

namespace {

// Shorter sessions do without the calls for keepalive.
constexpr int64_t kKeepaliveAfterMicros = 3'000'000;

// Measured, with its neighbors, in docs/architecture.md.
constexpr int kSmallSendBytes = 128 << 10;

}  // namespace

TcpSession::TcpSession(TcpForward& forward, UniqueFd client_fd, const Address& client,
                       TargetPtr target)
    : forward_(&forward),
      target_(std::move(target)),
      client_(client),
      host_(*this),
      container_(*this),
      begun_micros_(NowMicros()),
      load_(forward.reactor().worker) {
  host_.fd = std::move(client_fd);
  host_.tuned = true;
  SetConnectDeadline();
}

TcpSession::~TcpSession() {
  if (state_ != State::kClosed) ResetBoth();
}

void TcpSession::Start() {
  if (config().trusted_proxies == nullptr) return Connect();
  AwaitHeader();
}

void TcpSession::AwaitHeader() {
  state_ = State::kAwaitingHeader;
  // It has often arrived already.
  ReceiveHeader();
  if (state_ != State::kAwaitingHeader) return;
  const auto added = reactor().epoll.Add(host_.fd.get(), kEvents, host_);
  if (!added.ok()) {
    connect_error_ = -added.error().code;
    return GiveUpConnecting(SessionEnding::kConnectFailed);
  }
  reactor().timers.Arm(*this, begun_micros_ + config().trusted_proxies->header_timeout_micros);
}

void TcpSession::ReceiveHeader() {
  ProxyReading reading = ReceiveProxyHeader(reactor(), host_);
  if (reading.verdict == ProxyVerdict::kIncomplete) return;
  if (reading.verdict == ProxyVerdict::kMalformed) {
    counters().proxy_headers_malformed.Add();
    return Reject(SessionEnding::kProxyMalformed);
  }
  header_bytes_ = static_cast<uint16_t>(reading.size);
  if (reading.header.ends) {
    client_ = reading.header.ends->client;
    if (const auto rejection = forward_->EnterAs(client_)) return Reject(*rejection);
    has_client_place = true;
  }
  if (forward_->WritesProxyHeaders())
    upstream_header_ = std::make_unique<ProxyHeader>(std::move(reading.header));
  if (armed()) {
    reactor().timers.Cancel(*this);
    reactor().epoll.Remove(host_.fd.get());
  }
  state_ = State::kConnecting;
  begun_micros_ = NowMicros();
  SetConnectDeadline();
  Connect();
}

void TcpSession::Reject(SessionEnding why) {
  ResetOnClose(host_.fd.get());
  End(why);
}

void TcpSession::OnTimer() {
  if (state_ == State::kOpen) return KeepAlive();
  if (state_ == State::kResetting) return AdvanceReset();
  if (state_ == State::kAwaitingHeader) {
    counters().proxy_headers_late.Add();
    return Reject(SessionEnding::kProxyLate);
  }
  ContinueConnecting();
}

void TcpSession::OnConnectEvent(uint32_t events) {
  if (!(events & (EPOLLERR | EPOLLHUP))) {
    if (!container_.writable) return;
    if (IsConnectedToItself(container_.fd.get(), server())) {
      // After a FIN, the server's port would stay in use for a minute.
      ResetOnClose(container_.fd.get());
      return RetryConnect(ECONNREFUSED);
    }
    if (Open() && SendProxyHeader()) Advance();
    return;
  }
  const int error = TakeError(container_.fd.get());
  if (error != ECONNRESET && error != EPIPE) return RetryConnect(error);
  // It was established, and has been reset since then.
  if (Open()) BeginReset(container_);
}

bool TcpSession::Open() {
  const int64_t now = NowMicros();
  reactor().timers.Arm(*this, now + kKeepaliveAfterMicros);
  connect_micros_ = now - begun_micros_;
  if (config().first_failure) config().first_failure->OnConnected();
  counters().RecordConnect(static_cast<uint64_t>(connect_micros_));
  state_ = State::kOpen;
  if (config().source_address == SourceAddress::kTransparent && !lease_)
    counters().source_address_fallbacks.Add();
  if (!watches_client_ && !reactor().epoll.Add(host_.fd.get(), kEvents, host_).ok()) {
    Fail();
    return false;
  }
  // Most clients have sent something by now; the first edge would only say so.
  host_.readable = host_.writable = container_.writable = true;
  return true;
}

// The PROXY header goes out at once, for a server that speaks first, and in one segment with what
// the client has sent.
bool TcpSession::SendProxyHeader() {
  if (!forward_->WritesProxyHeaders()) return true;
  const std::string header =
      forward_->ProxyHeaderFor(client_, host_.fd.get(), upstream_header_.get());
  upstream_header_.reset();
  return HandlePumpState(to_container_.Begin(reactor(), host_, container_, header), host_,
                         container_, container_got_end_);
}

void TcpSession::OnSideEvents(Side& side, uint32_t events) {
  if (state_ == State::kClosed) return;
  if (events & EPOLLIN) side.readable = true;
  if (events & EPOLLPRI) side.urgent = true;
  if (events & EPOLLOUT) side.writable = true;
  if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) side.hung_up = side.readable = true;
  if (state_ == State::kAwaitingHeader) return ReceiveHeader();
  if (state_ == State::kConnecting && &side == &host_) return OnClientWaiting(events);
  if (state_ == State::kConnecting) return OnConnectEvent(events);
  if (state_ == State::kResetting) return AdvanceReset();
  // Reads report a reset too, but not after the same side's FIN, nor while the other side accepts
  // no more data.
  const bool read_to_its_end = (&side == &host_ ? to_container_ : to_host_).source_at_end();
  if ((events & EPOLLERR) || (read_to_its_end && (events & EPOLLHUP))) return BeginReset(side);
  Advance();
}

void TcpSession::OnTurn() {
  const auto worker = load_.TakeMove(reactor().balance);
  if (worker && state_ == State::kOpen) return MoveTo(*worker);
  if (state_ == State::kOpen) Advance();
  if (state_ == State::kResetting) AdvanceReset();
}

void TcpSession::Advance() {
  if (!RunPump(to_container_, host_, container_, container_got_end_)) return;
  if (!RunPump(to_host_, container_, host_, host_got_end_)) return;
  Count();
  if (container_got_end_ && host_got_end_) {
    if (lease_) LingerUntilAcked();
    return End(SessionEnding::kFin);
  }
  UpdateLoad();
}

bool TcpSession::RunPump(Pump& pump, Side& from, Side& to, bool& passed_end) {
  return passed_end || HandlePumpState(pump.Run(reactor(), from, to), from, to, passed_end);
}

bool TcpSession::HandlePumpState(PumpState state, Side& from, Side& to, bool& passed_end) {
  switch (state) {
    case PumpState::kIdle:
    case PumpState::kBlocked:
      return true;
    case PumpState::kYield:
      reactor().QueueTurn(*this);
      return true;
    case PumpState::kFinished:
      passed_end = true;
      // For the last direction, close(2) sends the FIN and saves the call.
      if (!container_got_end_ || !host_got_end_) ShutdownWrite(to.fd.get());
      return true;
    case PumpState::kSourceFailed:
      BeginReset(from);
      return false;
    case PumpState::kSinkFailed:
      BeginReset(to);
      return false;
    case PumpState::kBroken:
      Fail();
      return false;
  }
  return true;
}

void TcpSession::Count() {
  ForwardCounters& counted = counters();
  counted.bytes_to_container.Add(to_container_.bytes() - counted_to_container_);
  counted.bytes_to_host.Add(to_host_.bytes() - counted_to_host_);
  counted_to_container_ = to_container_.bytes();
  counted_to_host_ = to_host_.bytes();
  counted.pipe_fallbacks.Add(to_container_.TakeFallbacks() + to_host_.TakeFallbacks());
}

void TcpSession::KeepAlive() { SetKeepalive(container_.fd.get(), config().limits.keepalive); }

void TcpSession::UpdateLoad() {
  if (to_container_.bulk()) LimitSendBuffer(container_);
  if (to_host_.bulk()) LimitSendBuffer(host_);
  const bool is_bulk = to_container_.bulk() || to_host_.bulk();
  const bool was_bulk = host_.tuned_for_bulk || container_.tuned_for_bulk;
  if (load_.Update(reactor().balance, is_bulk, was_bulk)) reactor().QueueTurn(*this);
}

void TcpSession::LimitSendBuffer(Side& side) {
  if (std::exchange(side.tuned_for_bulk, true)) return;
  const uint32_t near = reactor().near_rtt_micros;
  if (near == 0) return;
  // The container is on this machine.
  if (&side == &container_ || MinRoundTripMicros(side.fd.get()) <= near)
    SetSendBuffer(side.fd.get(), kSmallSendBytes);
}

SessionInfo TcpSession::Describe() const {
  return {config().id,           Protocol::kTcp,   PublicState(),
          client_.Unmapped(),    server(),         SourceOf(container_.fd),
          to_container_.bytes(), to_host_.bytes(), NowMicros() - begun_micros_};
}

// Only for sessions in a forward's list, none of which is kClosed.
SessionState TcpSession::PublicState() const {
  switch (state_) {
    case State::kAwaitingHeader:
    case State::kConnecting:
      return SessionState::kConnecting;
    case State::kOpen:
      return container_got_end_ || host_got_end_ ? SessionState::kHalfClosed : SessionState::kOpen;
    case State::kResetting:
    case State::kClosed:
      return SessionState::kResetting;
  }
  return SessionState::kResetting;
}

}  // namespace spliceport
