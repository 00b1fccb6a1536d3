#include "shim/resident_link.h"

#include <poll.h>
#include <unistd.h>

#include "base/errno_text.h"
#include "shim/node_start.h"
#include "shim/surroundings.h"

namespace spliceport::shim {

namespace {

// Whoever holds the lock may have been stopped.
constexpr int64_t kPatienceMicros = 500'000;
constexpr int64_t kBusyMillis = 2;
constexpr int64_t kAliveMillis = 1'000;
constexpr int64_t kStartMillis = 5'000;
constexpr int64_t kSilenceMillis = 10'000;

std::string TextOf(SysError error) {
  return std::string(error.syscall) + ": " + ErrnoText(-error.code);
}

}  // namespace

ResidentLink::ResidentLink(Loop& loop, const Installation& installation, const Caller& caller,
                           Owner& owner)
    : owner_(owner),
      installation_(installation),
      caller_(caller),
      watch_(loop, [this](uint32_t /*events*/) { OnEvents(); }),
      alarm_(loop, [this] { OnTime(); }) {}

void ResidentLink::Start() {
  if (!is_idle()) return;
  state_ = State::kTrying;
  patient_until_micros_ = NowMicros() + kPatienceMicros;
  alarm_.Set(0);
}

void ResidentLink::Leave() {
  state_ = State::kIdle;
  alarm_.Cancel();
  watch_.Stop();
  channel_.reset();
}

void ResidentLink::Lose(Loss loss, const std::string& reason) {
  Leave();
  owner_.OnLost(loss, reason);
}

void ResidentLink::OnTime() {
  if (state_ == State::kTrying)
    Try();
  else if (channel_->broken() || !watch_.active())
    Lose(Loss::kEnded, "the resident process of spliceport does not listen");
  else
    Lose(Loss::kSilent, "the resident process of spliceport does not answer");
}

void ResidentLink::Try() {
  auto contact = Elect();
  if (contact.ok())
    Use(std::move(contact.value()));
  else if (contact.error().code == -EAGAIN && NowMicros() < patient_until_micros_)
    alarm_.Set(kBusyMillis);
  else
    Lose(Loss::kNobody, "there is no resident process of spliceport: " + TextOf(contact.error()));
}

Result<Contact> ResidentLink::Elect() const {
  auto name = ResidentName();
  if (!name) return SysError{-ENOENT, "stat"};
  auto election = Election::Open(ResidentFolder(), std::move(*name));
  if (!election.ok()) return election.error();
  auto contact = election.value().Join();
  if (contact.ok() || !Election::IsNobody(contact.error()) || !MayFound()) return contact;
  const auto node = installation_.FindNode();
  if (!node || access(installation_.resident.c_str(), R_OK) != 0)
    return SysError{-ENOENT, "execve"};
  return election.value().JoinOrFound([&](int listener) {
    return StartNode({*node, installation_.resident, listener, caller_.inherited()});
  });
}

void ResidentLink::Use(Contact contact) {
  state_ = State::kConnected;
  channel_.emplace(std::move(contact.connection));
  alarm_.Set(contact.is_new ? kStartMillis : kAliveMillis);
  watches_room_ = false;
  WatchChannel();
}

void ResidentLink::WatchChannel() {
  const bool wants_room = channel_->wants_to_write();
  if (watch_.active() && wants_room == watches_room_) return;
  watches_room_ = wants_room;
  if (!watch_.Start(channel_->fd(), wants_room ? EPOLLIN | EPOLLOUT : EPOLLIN).ok()) alarm_.Set(0);
}

void ResidentLink::OnEvents() {
  const bool had_room = has_room();
  const bool goes_on = channel_->Fill();
  // A frame may end the connection.
  while (auto frame = channel_ ? channel_->Next() : std::nullopt)
    OnFrame(std::move(*frame));
  if (!channel_) return;
  if (!goes_on || !channel_->Flush()) {
    Lose(Loss::kEnded, "the resident process of spliceport has ended");
    return;
  }
  WatchChannel();
  if (!had_room && has_room()) owner_.OnRoom();
}

void ResidentLink::OnFrame(Frame frame) {
  if (frame.kind == 'a' && state_ == State::kConnected) {
    state_ = State::kAlive;
    if (silence_is_allowed_) alarm_.Cancel();
    owner_.OnAlive();
  } else if (frame.kind == 'r' && is_alive()) {
    owner_.OnRequest(std::move(frame));
  }
  if (is_alive() && !silence_is_allowed_) alarm_.Set(kSilenceMillis);
}

void ResidentLink::Send(char kind, std::span<const char> payload, std::span<const int> fds) {
  if (!is_alive()) return;
  channel_->Send(kind, payload, fds);
  if (channel_->broken())
    alarm_.Set(0);
  else
    WatchChannel();
}

void ResidentLink::FlushFor(int millis) {
  if (!is_alive()) return;
  const int64_t until_micros = NowMicros() + int64_t{millis} * 1'000;
  while (channel_->wants_to_write() && NowMicros() < until_micros) {
    pollfd room{.fd = channel_->fd(), .events = POLLOUT, .revents = 0};
    if (poll(&room, 1, millis) <= 0 || !channel_->Flush()) return;
  }
}

void ResidentLink::AllowSilence() {
  silence_is_allowed_ = true;
  if (is_alive()) alarm_.Cancel();
}

}  // namespace spliceport::shim
