#include "tcp/tcp_forward.h"

#include <algorithm>
#include <utility>

#include "base/descriptor_budget.h"

namespace spliceport {

namespace {

constexpr int kMaxAcceptsPerWake = 256;
// From this many clients in one wake on, all workers accept some.
constexpr int kBacklogToShare = 64;
// Batches of clients that a forward which drains still accepts: more than any backlog holds.
constexpr int kMaxDrainWakes = 1'024;

}  // namespace

TcpForward::TcpForward(Reactor& reactor, ForwardHost& host, ForwardConfig config,
                       ForwardCounters& counters)
    : reactor_(reactor),
      host_(host),
      counters_(counters),
      listener_(std::move(config.host_socket)),
      target_(std::move(config.target)),
      config_(std::move(config)) {}

Result<void> TcpForward::Start() {
  if (!config_.accepts) return {};
  return Watch();
}

// Level-triggered: clients left in the queue wake a worker again. Exclusive: a client wakes one
// worker.
Result<void> TcpForward::Watch() {
  return reactor_.epoll.Add(listener_->get(), EPOLLIN | EPOLLEXCLUSIVE, *this);
}

// Asks for more clients only after a wake that found as many as it asked for, so a single client
// costs a single accept4, and a crowd is accepted in few wakes. All workers share a long backlog,
// to avoid that the queue overflows.
void TcpForward::OnEvents(uint32_t /*events*/) {
  if (!listener_ || armed()) return;
  const int accepted = AcceptUpTo(accepts_per_wake_);
  accepts_per_wake_ = accepted == accepts_per_wake_
                          ? std::min(accepts_per_wake_ * 2, kMaxAcceptsPerWake)
                          : std::max(accepted, 1);
  if (accepted >= kBacklogToShare) host_.ShareBacklog(config_.id);
}

void TcpForward::AcceptBatch() {
  if (listener_ && !armed()) AcceptUpTo(kMaxAcceptsPerWake);
}

int TcpForward::AcceptUpTo(int max) {
  DescriptorBudget& descriptors = DescriptorBudget::OfProcess();
  for (int accepted = 0; accepted < max; ++accepted) {
    if (!descriptors.MayAccept()) {
      PauseAccepting();
      return accepted;
    }
    UniqueFd connection;
    Address client;
    const Io io = Accept(listener_->get(), connection, client);
    if (io.would_block()) return accepted;
    if (io.error != 0) {
      if (ContinuesAfter(io.error)) continue;
      return accepted;
    }
    backoff_.Reset();
    descriptors.NoteAccepted(connection.get());
    if (const auto rejection = AcceptClient(client)) {
      Reject(connection.get(), client, *rejection);
      continue;
    }
    auto session = std::make_unique<TcpSession>(*this, std::move(connection), client, target_);
    TcpSession& started = *session;
    started.retargets = retargets_;
    started.has_client_place = config_.trusted_proxies == nullptr;
    Insert(std::move(session));
    counters_.sessions_total.Add();
    started.Start();
    if (armed()) return accepted + 1;
  }
  return max;
}

// A failure of one connection, such as ECONNABORTED, is over with it. Any other would recur at
// once, and may last: accept(2) is forbidden, or another owner of the listener has shut it down.
bool TcpForward::ContinuesAfter(int error) {
  if (IsPeerError(error) && !backoff_.FailsTooOften()) return true;
  if (IsExhaustion(error)) {
    PauseAccepting();
  } else {
    PauseFor(backoff_.NextPauseMicros());
  }
  return false;
}

std::optional<SessionEnding> TcpForward::AcceptClient(const Address& client) {
  if (config_.trusted_proxies) {
    if (!config_.trusted_proxies->sources.Contains(client)) {
      counters_.proxy_sources_untrusted.Add();
      return SessionEnding::kProxyUntrusted;
    }
    // The session reads the client's address from the header, and checks it then.
  } else if (const auto rejection = EnterAs(client)) {
    return rejection;
  }
  if (!config_.admission) return {};
  const auto rejection = config_.admission->TryEnter(NowMicros(), counters_);
  if (rejection && !config_.trusted_proxies) config_.admission->LeaveAs(client);
  return rejection;
}

void TcpForward::Reject(int fd, const Address& client, SessionEnding why) {
  ResetOnClose(fd);
  if (!config_.session_log) return;
  reactor_.LogEnded(config_.session_log.get(),
                    {.forward_id = config_.id,
                     .protocol = Protocol::kTcp,
                     .ending = why,
                     .client = client.Unmapped(),
                     .target = target_->address},
                    counters_);
}

std::optional<SessionEnding> TcpForward::EnterAs(const Address& client) {
  if (!config_.admission) return {};
  if (config_.admission->IsAllowed(client)) return config_.admission->TryEnterAs(client, counters_);
  counters_.sessions_denied.Add();
  return SessionEnding::kDenied;
}

void TcpForward::CountClosed(const TcpSession& session) {
  // First, so that its places are free for anyone who sees it counted.
  if (config_.admission) {
    config_.admission->Leave();
    if (session.has_client_place) config_.admission->LeaveAs(session.client());
  }
  counters_.sessions_closed.Add();
}

std::string TcpForward::ProxyHeaderFor(const Address& client, int fd, const ProxyHeader* upstream) {
  ProxyHeader header;
  if (upstream != nullptr) header = *upstream;
  auto destination = LocalAddress(fd);
  if (!header.ends && destination.ok()) header.ends = {client, destination.value()};
  if (header.unique_id.empty()) header.unique_id = reactor_.unique_ids.Next();
  const bool v1 = config_.source_address == SourceAddress::kProxyV1;
  return WriteProxyHeader(v1 ? ProxyVersion::k1 : ProxyVersion::k2, Protocol::kTcp, header);
}

void TcpForward::PauseAccepting() { PauseFor(Backoff::kShortestPauseMicros); }

void TcpForward::PauseFor(int64_t micros) {
  if (!listener_ || armed()) return;
  counters_.accept_pauses.Add();
  reactor_.epoll.Remove(listener_->get());
  reactor_.timers.Arm(*this, NowMicros() + micros);
}

// The reason for the pause may be over.
void TcpForward::EndPause() {
  reactor_.timers.Cancel(*this);
  OnTimer();
}

void TcpForward::OnTimer() {
  if (config_.accepts && !Watch().ok())
    reactor_.timers.Arm(*this, NowMicros() + Backoff::kShortestPauseMicros);
}

void TcpForward::Release(TcpSession& session) {
  CountClosed(session);
  reactor_.DeleteLater(Extract(session));
  if (Done() && !closing_all_) host_.OnForwardDone(config_.id);
}

void TcpForward::Insert(std::unique_ptr<TcpSession> session) {
  reactor_.memory.Begin();
  session->index = sessions_.size();
  sessions_.push_back(std::move(session));
}

std::unique_ptr<TcpSession> TcpForward::Extract(TcpSession& session) {
  reactor_.memory.End();
  const size_t index = session.index;
  std::unique_ptr<TcpSession> taken = std::move(sessions_[index]);
  if (index + 1 < sessions_.size()) {
    sessions_[index] = std::move(sessions_.back());
    sessions_[index]->index = index;
  }
  sessions_.pop_back();
  return taken;
}

void TcpForward::Move(TcpSession& session, size_t to) {
  ++moving_;
  counters_.sessions_moved.Add();
  host_.MoveSession(config_.id, to, Extract(session));
}

void TcpForward::Adopt(std::unique_ptr<TcpSession> session) {
  session->AttachTo(*this);
  if (closing_all_) return Abort(std::move(session));
  TcpSession& adopted = *session;
  Insert(std::move(session));
  adopted.Resume();
  // A retarget may have come while it was on its way.
  AddressCheck addresses(reactor_.netns);
  Follow(adopted, addresses);
}

void TcpForward::EndMove(std::unique_ptr<TcpSession> returned) {
  --moving_;
  if (returned) Adopt(std::move(returned));
  if (Done()) host_.OnForwardDone(config_.id);
}

void TcpForward::Retarget(TargetPtr target) {
  target_ = std::move(target);
  ++retargets_;
  followers_left_ = sessions_.size();
  if (followers_left_ > 0) reactor_.QueueTurn(*this);
}

// From the end: the last session takes the index of one that ends, so none is left out.
void TcpForward::OnTurn() {
  AddressCheck addresses(reactor_.netns);
  const size_t from = std::min(followers_left_, sessions_.size());
  const size_t to = from - std::min(from, SessionListing::kPiece);
  for (size_t place = from; place > to; --place)
    Follow(*sessions_[place - 1], addresses);
  followers_left_ = to;
  if (to > 0) return reactor_.QueueTurn(*this);
  // This thread may be in a namespace that is needed no more, and nothing else would make it leave.
  reactor_.netns.Enter(target_->netns).Ignore();
}

void TcpForward::Follow(TcpSession& session, AddressCheck& addresses) {
  if (std::exchange(session.retargets, retargets_) != retargets_) session.FollowRetarget(addresses);
}

void TcpForward::StopAccepting(bool drain) {
  if (!listener_) return;
  if (drain) {
    if (armed()) EndPause();
    for (int wakes = 0; wakes < kMaxDrainWakes && !armed(); ++wakes) {
      if (AcceptUpTo(kMaxAcceptsPerWake) < kMaxAcceptsPerWake) break;
    }
  }
  if (!armed()) reactor_.epoll.Remove(listener_->get());
  reactor_.epoll.Forget(*this);
  reactor_.timers.Cancel(*this);
  listener_.reset();
}

void TcpForward::CloseAll() {
  closing_all_ = true;
  for (auto& session : sessions_) {
    reactor_.memory.End();
    Abort(std::move(session));
  }
  sessions_.clear();
}

void TcpForward::Abort(std::unique_ptr<TcpSession> session) {
  session->Abort(SessionEnding::kRemoved);
  CountClosed(*session);
  reactor_.DeleteLater(std::move(session));
}

// From the end: the last session takes the index of one that ends, so none is left out. `listing`
// tells which are in the list already.
bool TcpForward::Describe(SessionListing& listing, size_t& left) {
  size_t place = std::min(listing.place.value_or(sessions_.size()), sessions_.size());
  for (; place > 0 && left > 0; --left) {
    TcpSession& session = *sessions_[--place];
    if (std::exchange(session.listing, listing.number) == listing.number) continue;
    listing.sessions.push_back(session.Describe());
  }
  listing.place = place;
  return place == 0;
}

}  // namespace spliceport
