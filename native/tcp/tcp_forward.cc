#include "tcp/tcp_forward.h"

#include <algorithm>
#include <utility>

#include "base/descriptor_budget.h"

namespace spliceport {

namespace {

constexpr int kMostAcceptsPerWake = 256;
// From this many on in one wake, all workers take some.
constexpr int kCrowd = 64;
// Wakes' worth of clients that are still taken in when a forward is to drain: more than any backlog holds.
constexpr int kMostDrainWakes = 1'024;

}  // namespace

TcpForward::TcpForward(Reactor& reactor, ForwardOwner& owner, ForwardParts& parts,
                       const ForwardConfig& config, ForwardCounters& counters)
    : reactor_(reactor),
      owner_(owner),
      parts_(parts),
      counters_(counters),
      id_(config.id),
      limits_(config.limits),
      accept_proxy_(config.accept_proxy),
      admission_(config.admission),
      session_log_(config.session_log),
      source_address_(config.source_address),
      accepts_(config.accepts),
      listener_(config.host_socket),
      target_(config.target) {}

Result<void> TcpForward::Start() {
  if (!accepts_) return {};
  return Watch();
}

// Level-triggered: what a wake leaves in the queue wakes again. Exclusive: a client wakes one worker, not all.
Result<void> TcpForward::Watch() {
  return reactor_.epoll.Add(listener_->get(), EPOLLIN | EPOLLEXCLUSIVE, *this);
}

// Asks for one more client only after a wake that found as many as it asked for, so that a single client costs a
// single accept4 and a crowd is taken in few wakes. Large crowds are shared among all workers, lest the queue overflow.
void TcpForward::OnEvents(uint32_t /*events*/) {
  if (!listener_ || armed()) return;
  const int accepted = AcceptSome(accepts_per_wake_);
  accepts_per_wake_ = accepted == accepts_per_wake_
                          ? std::min(accepts_per_wake_ * 2, kMostAcceptsPerWake)
                          : std::max(accepted, 1);
  if (accepted >= kCrowd) parts_.ShareCrowd(id_);
}

void TcpForward::TakeSome() {
  if (listener_ && !armed()) AcceptSome(kMostAcceptsPerWake);
}

int TcpForward::AcceptSome(int most) {
  DescriptorBudget& descriptors = DescriptorBudget::OfProcess();
  for (int accepted = 0; accepted < most; ++accepted) {
    if (!descriptors.MayAccept()) {
      PauseAccepting();
      return accepted;
    }
    UniqueFd connection;
    Address client;
    const Io io = Accept(listener_->get(), connection, client);
    if (io.would_block()) return accepted;
    if (io.error != 0) {
      if (GoesOnAfter(io.error)) continue;
      return accepted;
    }
    backoff_.Reset();
    descriptors.NoteAccepted(connection.get());
    if (const auto refusal = RefusalOf(client)) {
      Refuse(connection.get(), client, *refusal);
      continue;
    }
    auto session = std::make_unique<TcpSession>(*this, std::move(connection), client, target_);
    TcpSession& started = *session;
    started.retargets = retargets_;
    Insert(std::move(session));
    counters_.sessions_opened.Add();
    started.Start();
    if (armed()) return accepted + 1;
  }
  return most;
}

// What is wrong with one connection (ECONNABORTED and the like) is over with it. All else would come again at once, and may
// last: accept(2) is forbidden here, or another owner has shut the listener down.
bool TcpForward::GoesOnAfter(int error) {
  if (IsPeersFault(error) && !backoff_.FailsTooOften()) return true;
  if (IsExhaustion(error)) {
    PauseAccepting();
  } else {
    PauseFor(backoff_.NextPauseMicros());
  }
  return false;
}

std::optional<SessionEnding> TcpForward::RefusalOf(const Address& client) {
  if (accept_proxy_) {
    if (!accept_proxy_->sources.Contains(client)) {
      counters_.proxy_sources_untrusted.Add();
      return SessionEnding::kProxyUntrusted;
    }
    // Who the client is, its session learns from the header.
  } else if (!Permits(client)) {
    return SessionEnding::kDenied;
  }
  if (!admission_) return {};
  return admission_->Enter(NowMicros(), counters_);
}

void TcpForward::Refuse(int fd, const Address& client, SessionEnding why) {
  ResetOnClose(fd);
  if (!session_log_) return;
  reactor_.Tell(session_log_.get(),
                {.forward_id = id_,
                 .protocol = Protocol::kTcp,
                 .ending = why,
                 .client = client.Unmapped(),
                 .target = target_->address},
                counters_);
}

bool TcpForward::Permits(const Address& client) {
  if (!admission_ || admission_->Permits(client)) return true;
  counters_.sessions_denied.Add();
  return false;
}

void TcpForward::CountOut() {
  // First, so that who sees it counted finds its place free.
  if (admission_) admission_->Leave();
  counters_.sessions_closed.Add();
}

std::string TcpForward::IntroductionOf(const Address& client, int fd, const ProxyHeader* told) {
  ProxyHeader header;
  if (told != nullptr) header = *told;
  auto destination = LocalAddress(fd);
  if (!header.ends && destination.ok()) header.ends = {client, destination.value()};
  if (header.unique_id.empty()) header.unique_id = reactor_.unique_ids.Next();
  const bool v1 = source_address_ == SourceAddress::kProxyV1;
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
  if (accepts_ && !Watch().ok())
    reactor_.timers.Arm(*this, NowMicros() + Backoff::kShortestPauseMicros);
}

void TcpForward::Release(TcpSession& session) {
  CountOut();
  reactor_.Bury(TakeOut(session));
  if (Done() && !closing_all_) owner_.OnForwardDone(id_);
}

void TcpForward::Insert(std::unique_ptr<TcpSession> session) {
  reactor_.memory.Begin();
  session->index = sessions_.size();
  sessions_.push_back(std::move(session));
}

std::unique_ptr<TcpSession> TcpForward::TakeOut(TcpSession& session) {
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
  parts_.MoveSession(id_, to, TakeOut(session));
}

void TcpForward::Adopt(std::unique_ptr<TcpSession> session) {
  session->BelongTo(*this);
  if (closing_all_) return CutOff(std::move(session));
  TcpSession& adopted = *session;
  Insert(std::move(session));
  adopted.Resume();
  // It was on its way when its forward's parts were told.
  AddressCheck addresses(reactor_.netns);
  Follow(adopted, addresses);
}

void TcpForward::EndMove(std::unique_ptr<TcpSession> returned) {
  --moving_;
  if (returned) Adopt(std::move(returned));
  if (Done()) owner_.OnForwardDone(id_);
}

void TcpForward::Retarget(TargetPtr target) {
  target_ = std::move(target);
  ++retargets_;
  followers_left_ = sessions_.size();
  if (followers_left_ > 0) reactor_.QueueTurn(*this);
}

// From the end, so that one that ends, whose place the last one takes, leaves none out.
void TcpForward::OnTurn() {
  AddressCheck addresses(reactor_.netns);
  const size_t from = std::min(followers_left_, sessions_.size());
  const size_t to = from - std::min(from, SessionListing::kPiece);
  for (size_t place = from; place > to; --place)
    Follow(*sessions_[place - 1], addresses);
  followers_left_ = to;
  if (to > 0) return reactor_.QueueTurn(*this);
  // Nothing else might lead this thread out of a namespace that is asked for the last time.
  (void)reactor_.netns.Enter(target_->netns).ok();
}

void TcpForward::Follow(TcpSession& session, AddressCheck& addresses) {
  if (std::exchange(session.retargets, retargets_) != retargets_) session.FollowRetarget(addresses);
}

void TcpForward::StopAccepting(bool drain) {
  if (!listener_) return;
  if (drain) {
    if (armed()) EndPause();
    for (int wakes = 0; wakes < kMostDrainWakes && !armed(); ++wakes) {
      if (AcceptSome(kMostAcceptsPerWake) < kMostAcceptsPerWake) break;
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
    CutOff(std::move(session));
  }
  sessions_.clear();
}

void TcpForward::CutOff(std::unique_ptr<TcpSession> session) {
  session->Cut(SessionEnding::kRemoved);
  CountOut();
  reactor_.Bury(std::move(session));
}

// From the end: the last one takes the place of one that has ended, so none is left out. What comes twice is known.
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
