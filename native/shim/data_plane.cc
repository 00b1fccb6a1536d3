#include "shim/data_plane.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "shim/channel.h"
#include "shim/records.h"

namespace spliceport::shim {

namespace {

// What an answer has besides results.
constexpr size_t kAnswerBytes = 4'096;

UniqueFd TakeFirst(std::deque<UniqueFd>& fds) {
  if (fds.empty()) return UniqueFd();
  UniqueFd first = std::move(fds.front());
  fds.pop_front();
  return first;
}

std::string AnswerOf(uint32_t seq, const Outcome& last, uint32_t section,
                     const std::vector<std::string>& results) {
  Writer answer;
  answer.U32(seq);
  answer.I32(last.error.code);
  answer.U32(last.ok() ? 0 : section);
  answer.U32(last.index);
  answer.Text(last.error.syscall);
  answer.U32(static_cast<uint32_t>(results.size()));
  for (const std::string& result : results)
    answer.Bytes(result);
  return answer.Take();
}

}  // namespace

DataPlane::DataPlane(DataPlaneHost& host)
    : host_(host), events_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

DataPlane::~DataPlane() { Close(); }

DataPlane::Executor DataPlane::ExecutorOf(char kind) {
  static constexpr std::pair<char, Executor> kExecutors[] = {
      {'E', &DataPlane::CreateEngine},
      {'O', &DataPlane::Open},
      {'X', &DataPlane::CloseSockets},
      {'N', &DataPlane::FindNetns},
      {'V', &DataPlane::ReleaseNetns},
      {'I', &DataPlane::PrepareTransparent},
      {'A', &DataPlane::Add},
      {'T', &DataPlane::Retarget},
      {'D', &DataPlane::Remove},
      {'S', &DataPlane::Stats},
      {'Y', &DataPlane::Sessions},
      {'U', &DataPlane::TakeEnded},
      {'B', &DataPlane::KeepBlob},
      {'L', &DataPlane::ListenForReload},
      {'C', &DataPlane::ListenForControl},
      {'R', &DataPlane::Ready},
      {'P', &DataPlane::Reply},
      {'W', &DataPlane::Warn},
      {'F', &DataPlane::Fail},
      {'K', &DataPlane::Keep},
      {'Q', &DataPlane::RunOwn},
      {'G', &DataPlane::ElectAgain},
  };
  const auto* found = std::find_if(std::begin(kExecutors), std::end(kExecutors),
                                   [kind](const auto& entry) { return entry.first == kind; });
  return found == std::end(kExecutors) ? nullptr : found->second;
}

std::string DataPlane::Execute(std::span<const char> request, std::vector<UniqueFd> fds) {
  Reader sections(request);
  Fds attached(std::make_move_iterator(fds.begin()), std::make_move_iterator(fds.end()));
  const uint32_t seq = sections.U32();
  std::vector<std::string> results;
  size_t result_bytes = 0;
  Outcome last = sections.ok() ? Outcome() : Outcome::Malformed();
  while (last.ok() && !sections.at_end()) {
    const char kind = static_cast<char>(sections.U8());
    Reader section(sections.Bytes());
    const Executor execute = ExecutorOf(kind);
    if (!sections.ok()) {
      last = Outcome::Malformed();
    } else if (execute == nullptr) {
      last = Outcome::Of({-ENOSYS, "section"});
    } else {
      last = (this->*execute)(section, attached);
    }
    result_bytes += last.result.size() + sizeof(uint32_t);
    if (result_bytes > kMaxPayloadBytes - kAnswerBytes) last = Outcome::Of({-EMSGSIZE, "section"});
    if (last.ok()) results.push_back(std::move(last.result));
  }
  return AnswerOf(seq, last, static_cast<uint32_t>(results.size()), results);
}

Outcome DataPlane::KeepBlob(Reader& reader, Fds& /*fds*/) {
  const auto bytes = reader.Bytes();
  if (!reader.ok()) return Outcome::Malformed();
  blob_.assign(bytes.begin(), bytes.end());
  own_notes_.clear();
  return {};
}

Outcome DataPlane::ListenForReload(Reader& reader, Fds& fds) {
  ReloadListener listener;
  const uint8_t type = reader.U8();
  listener.name = reader.Text();
  listener.dev = reader.U64();
  listener.ino = reader.U64();
  if (!reader.ok() || type > 1 || fds.size() < 2) return Outcome::Malformed();
  listener.type = type == 0 ? UnixType::kSeqpacket : UnixType::kStream;
  listener.listener = TakeFirst(fds);
  listener.folder = TakeFirst(fds);
  host_.OnReloadListener(std::move(listener));
  return {};
}

Outcome DataPlane::ListenForControl(Reader& reader, Fds& fds) {
  ControlListener listener;
  listener.name = reader.Text();
  listener.dev = reader.U64();
  listener.ino = reader.U64();
  listener.folder_to_remove = reader.Text();
  if (!reader.ok()) return Outcome::Malformed();
  if (fds.empty() || listener.name.empty()) {
    host_.OnControlListener(std::nullopt);
    return {};
  }
  if (fds.size() < 2) return Outcome::Malformed();
  listener.listener = TakeFirst(fds);
  listener.folder = TakeFirst(fds);
  host_.OnControlListener(std::move(listener));
  return {};
}

Outcome DataPlane::Ready(Reader& reader, Fds& fds) {
  const int exit_fd = reader.I32();
  const int ready_fd = reader.I32();
  const bool has_error_fd = reader.U8() != 0;
  if (!reader.ok() || ready_ || (has_error_fd && fds.empty())) return Outcome::Malformed();
  const auto outcome = host_.OnReady(exit_fd, ready_fd, has_error_fd ? TakeFirst(fds) : UniqueFd());
  if (!outcome.ok()) return Outcome::Of(outcome.error());
  ready_ = true;
  return {};
}

Outcome DataPlane::Reply(Reader& reader, Fds& /*fds*/) {
  const uint32_t client = reader.U32();
  std::string bytes = reader.Text();
  if (!reader.ok()) return Outcome::Malformed();
  host_.OnReply(client, std::move(bytes));
  return {};
}

Outcome DataPlane::Warn(Reader& reader, Fds& /*fds*/) {
  std::string text = reader.Text();
  if (!reader.ok()) return Outcome::Malformed();
  host_.OnWarn(std::move(text));
  return {};
}

Outcome DataPlane::Fail(Reader& reader, Fds& /*fds*/) {
  std::string text = reader.Text();
  if (!reader.ok()) return Outcome::Malformed();
  host_.OnFail(std::move(text));
  return {};
}

Outcome DataPlane::Keep(Reader& reader, Fds& /*fds*/) {
  const bool keep = reader.U8() != 0;
  if (!reader.ok()) return Outcome::Malformed();
  host_.OnKeep(keep);
  return {};
}

// Only as long as there is nothing that would have to be undone.
Outcome DataPlane::RunOwn(Reader& /*reader*/, Fds& /*fds*/) {
  if (ready_ || engine_ || !pending_.empty()) return Outcome::Of({-EBUSY, "section"});
  host_.OnRunOwn();
  return {};
}

Outcome DataPlane::ElectAgain(Reader& /*reader*/, Fds& /*fds*/) {
  host_.OnElectAgain();
  return {};
}

void DataPlane::OnRemoved(int id) {
  {
    const std::lock_guard lock(reports_mutex_);
    gone_.push_back(id);
  }
  Wake();
}

void DataPlane::OnConnectFailed(int id, const ConnectFailure& failure) {
  {
    const std::lock_guard lock(reports_mutex_);
    failures_[id] = failure;
  }
  Wake();
}

void DataPlane::Wake() { (void)eventfd_write(events_.get(), 1); }

std::vector<int> DataPlane::TakeGone() {
  eventfd_t count = 0;
  (void)eventfd_read(events_.get(), &count);
  std::vector<int> gone;
  const std::lock_guard lock(reports_mutex_);
  gone.swap(gone_);
  return gone;
}

std::string DataPlane::TakeFailures() {
  std::map<int, ConnectFailure> failures;
  {
    const std::lock_guard lock(reports_mutex_);
    failures.swap(failures_);
  }
  Writer list;
  if (!failures.empty()) WriteFailures(failures, list);
  return list.Take();
}

void DataPlane::Close() {
  engine_.reset();
  session_log_.reset();
  pending_.clear();
  netns_.Clear();
  next_id_ = 1;
  ready_ = false;
  blob_.clear();
  own_notes_.clear();
  (void)TakeGone();
  (void)TakeFailures();
  (void)TakeEndedNotice();
}

}  // namespace spliceport::shim
