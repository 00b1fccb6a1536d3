#include "shim/process.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/memory_trim.h"
#include "shim/hello.h"
#include "shim/plain_config.h"
#include "shim/plain_start.h"

namespace spliceport::shim {

namespace {

constexpr int kMaxTries = 5;
// Before this process is ready, its caller waits.
constexpr int kMaxEnds = 3;
// Of a try after a failed one. The first is a resident that has just ended, as it may.
constexpr std::array<int64_t, kMaxTries - 1> kPauseMillis{0, 50, 250, 1'000};
// A resident that is stopped must not hold up the end.
constexpr int kLastWordsMillis = 100;
constexpr int64_t kShortestKeepMillis = 1'000;
constexpr int64_t kLongestKeepMillis = 60'000;

}  // namespace

Process::Process(Loop& loop, Caller& caller, Signals& signals, const Installation& installation)
    : loop_(loop),
      caller_(caller),
      signals_(signals),
      signal_watch_(loop, [this](uint32_t /*events*/) { OnSignal(); }),
      engine_watch_(loop, [this](uint32_t /*events*/) { OnEngine(); }),
      exit_watch_(loop, [this](uint32_t /*events*/) { OnExitFd(); }),
      retry_(loop, [this] { link_.Start(); }),
      lingering_(loop),
      reload_(
          loop, lingering_,
          [this](uint32_t client, std::string_view request) { return AskFor(client, request); }),
      control_(
          loop, lingering_,
          [this] {
            CallResident();
            return link_.may_take();
          },
          [this](int client) { PassOn(client); }),
      data_plane_(*this),
      link_(loop, installation, caller, *this) {}

std::optional<int> Process::Run() {
  if (!signals_.Watch().ok() || !signal_watch_.Start(signals_.fd(), EPOLLIN).ok())
    return std::nullopt;
  if (!StartAlone()) link_.Start();
  ReturnMemoryOfStart();
  while (next_ == Next::kGoOn)
    loop_.RunOnce();
  if (next_ == Next::kEnd && is_ready_ && link_.is_alive()) {
    link_.Send('b', data_plane_.LastWords());
    link_.FlushFor(LastWordsMillis());
  }
  Undo();
  if (next_ == Next::kOwnProcess) return std::nullopt;
  return exit_code_;
}

bool Process::StartAlone() {
  const auto start = PlainStart::Of(caller_);
  if (!start) return false;
  if (!start->Run(data_plane_)) {
    Undo();
    return false;
  }
  WatchEngine();
  // The resident tries it, too, and notes why there is none.
  if (next_ == Next::kGoOn && !start->ListenForControl(data_plane_)) KeepResident();
  return true;
}

int Process::LastWordsMillis() const { return kLastWordsMillis; }

void Process::KeepResident() {
  keeps_ = true;
  link_.Start();
}

void Process::IntroduceAgain() {
  if (!link_.is_alive()) return;
  link_.Leave();
  TryAgain("the resident process of spliceport has been left");
}

void Process::GiveUp() {
  if (next_ == Next::kGoOn) next_ = Next::kOwnProcess;
}

void Process::End(int code) {
  if (next_ != Next::kGoOn) return;
  next_ = Next::kEnd;
  exit_code_ = code;
}

void Process::Undo() {
  link_.Leave();
  engine_watch_.Stop();
  reload_.Close();
  control_.Close();
  data_plane_.Close();
}

// What the resident has this process do.

Result<void> Process::OnReady(int exit_fd, int ready_fd, UniqueFd error_fd) {
  if (is_ready_) return SysError{-EALREADY, "epoll_ctl"};
  for (const int fd : {exit_fd, ready_fd})
    if (!caller_.HasPassed(fd)) return SysError{-EBADF, "epoll_ctl"};
  // A copy, because the caller may have given the same as an output.
  exit_fd_.Reset(fcntl(exit_fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  if (!exit_fd_.valid()) return LastError("fcntl");
  const Result<void> watched = exit_watch_.Start(exit_fd_.get(), EPOLLIN);
  // A file of a kind that never keeps a reader waiting: its end is there already.
  const bool is_at_end = watched.error().code == -EPERM;
  if (!watched.ok() && !is_at_end) return watched;
  Caller::Release(std::move(error_fd));
  Caller::SayReady(ready_fd);
  BecomeReady();
  if (is_at_end) End(0);
  return {};
}

void Process::BecomeReady() {
  is_ready_ = true;
  link_.AllowSilence();
}

void Process::OnFail(std::string text) {
  if (next_ != Next::kGoOn) return;
  Caller::Tell(text);
  End(1);
}

void Process::OnWarn(std::string text) {
  if (!is_ready_) Caller::Warn(text);
}

void Process::OnReloadListener(ReloadListener listener) {
  reload_.Listen(listener.type, std::move(listener.listener),
                 SocketFile(std::move(listener.folder), listener.name, listener.dev, listener.ino));
}

void Process::OnControlListener(std::optional<ControlListener> listener) {
  if (!listener) {
    control_.Close();
    return;
  }
  control_.Listen(
      std::move(listener->listener),
      SocketFile(std::move(listener->folder), listener->name, listener->dev, listener->ino),
      listener->folder_to_remove);
}

void Process::OnReply(uint32_t client, std::string bytes) { reload_.Reply(client, bytes); }

void Process::OnKeep(bool keep) { keeps_ = keep; }

void Process::OnRunOwn() {
  if (!is_ready_) GiveUp();
}

void Process::OnElectAgain() { leaves_resident_ = true; }

// The resident comes and goes.

void Process::OnAlive() {
  tries_ = is_ready_ ? 0 : tries_;
  alive_since_micros_ = NowMicros();
  const auto age = static_cast<uint64_t>((NowMicros() - begin_micros_) / 1'000);
  link_.Send('H', Hello(caller_, data_plane_, is_ready_, age));
  // Nobody knows whether the one before took them.
  if (has_told_of_ends_) link_.Send('e', {});
  reload_.AskAgain();
  control_.Resume();
}

void Process::OnRequest(Frame request) {
  const std::string answer = data_plane_.Execute(request.payload, std::move(request.fds));
  WatchEngine();
  link_.Send('k', answer);
  if (!std::exchange(leaves_resident_, false)) return;
  link_.Leave();
  OnLost(Loss::kEnded, "the resident process of spliceport has sent its clients to another one");
}

void Process::OnRoom() { control_.Resume(); }

void Process::OnLost(Loss loss, const std::string& reason) {
  if (next_ != Next::kGoOn) return;
  if (is_ready_) {
    // The next one would take them for those that it opens itself.
    data_plane_.ClosePending();
    TryAgain(reason);
  } else if (loss == Loss::kEnded && ++tries_ < kMaxEnds) {
    Undo();
    link_.Start();
  } else {
    OnNobody(reason);
  }
}

void Process::TryAgain(const std::string& reason) {
  // What the resident has done of a request before it ended does no harm when it is done again.
  reload_.Settle(
      [this](uint32_t client, std::string_view request) { return AnswerAlone(client, request); });
  const bool has_clients = reload_.AnyWaits() || control_.waits();
  ++tries_;
  if (has_clients && tries_ < kMaxTries) {
    retry_.Set(kPauseMillis.at(static_cast<size_t>(tries_) - 1));
    return;
  }
  tries_ = 0;
  reload_.RefuseAll(reason);
  control_.RefuseAll(reason);
  if (!keeps_) return;
  const bool lasted = NowMicros() - alive_since_micros_ > kLongestKeepMillis * 1'000;
  keep_pause_millis_ =
      lasted ? kShortestKeepMillis
             : std::clamp(keep_pause_millis_ * 2, kShortestKeepMillis, kLongestKeepMillis);
  retry_.Set(keep_pause_millis_);
}

void Process::CallResident() {
  // A pause between two tries is not for those who come meanwhile: they would never end.
  if (!link_.is_idle() || (retry_.is_set() && tries_ > 0)) return;
  link_.Start();
}

// Those who ask something.

std::optional<std::string> Process::AskFor(uint32_t client, std::string_view request) {
  if (auto answer = AnswerAlone(client, request)) return answer;
  if (!link_.is_alive()) {
    CallResident();
    return std::nullopt;
  }
  Writer writer;
  writer.U32(client);
  writer.Bytes(request);
  link_.Send('q', writer.Take());
  return std::nullopt;
}

// A resident that is there has the last word, and so has one that is only missed: it keeps a log.
// Requests are carried out in the order in which they have come.
std::optional<std::string> Process::AnswerAlone(uint32_t client, std::string_view request) {
  if (link_.is_alive() || keeps_ || !reload_.IsNext(client)) return std::nullopt;
  const auto address = ReadPlainReload(request);
  if (!address || !data_plane_.MoveAll(*address)) return std::nullopt;
  return "OK";
}

void Process::PassOn(int client) { link_.Send('c', {}, std::array{client}); }

void Process::WatchEngine() {
  const int fd = data_plane_.event_fd();
  if (fd >= 0 && !engine_watch_.active()) engine_watch_.Start(fd, EPOLLIN).Ignore();
}

void Process::OnEngine() {
  const std::vector<int> gone = data_plane_.TakeGone();
  if (!gone.empty()) {
    Writer writer;
    writer.U32(static_cast<uint32_t>(gone.size()));
    for (const int id : gone)
      writer.I32(id);
    link_.Send('g', writer.Take());
    OnGone();
  }
  const std::string failures = data_plane_.TakeFailures();
  if (!failures.empty()) link_.Send('f', failures);
  if (!data_plane_.TakeEndedNotice()) return;
  has_told_of_ends_ = true;
  link_.Send('e', {});
}

void Process::OnExitFd() {
  std::array<char, 4'096> nobodys{};
  const ssize_t count = read(exit_fd_.get(), nobodys.data(), nobodys.size());
  if (count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)) End(0);
}

}  // namespace spliceport::shim
