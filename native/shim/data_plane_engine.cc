// The sections of a DataPlane that concern its engine, and what goes into it.

#include <fcntl.h>

#include <algorithm>
#include <limits>
#include <set>
#include <thread>
#include <utility>

#include "relay/configure.h"
#include "routes/transparent.h"
#include "shim/channel.h"
#include "shim/data_plane.h"
#include "shim/plain_config.h"
#include "shim/records.h"

namespace spliceport::shim {

namespace {

// All forwards have one owner, so its counters are those of all that there have been.
constexpr int kOwner = 0;
// The id that stands for them.
constexpr int kAll = -1;

// Workers that take new connections: with more than half of the processors awake for that, two
// share what one does with fewer wake-ups, and clients and servers need processors too. It is not
// in the section, because the resident may run on others.
size_t Acceptors() { return std::max(std::thread::hardware_concurrency() / 2, 1U); }

}  // namespace

Outcome DataPlane::CreateEngine(Reader& reader, Fds& /*fds*/) {
  auto section = ReadEngine(reader);
  if (!section || engine_) return Outcome::Malformed();
  if (!events_.valid()) return Outcome::Of({-EMFILE, "eventfd"});
  auto engine = Engine::Create(SettingsFrom(section->fields, Acceptors()), *this);
  if (!engine.ok()) return Outcome::Of(engine.error());
  engine_ = std::move(engine.value());
  if (!section->tells_of_ends) return {};
  const auto workers = static_cast<size_t>(section->fields.workers);
  session_log_ = std::make_shared<SessionLog>(workers, [this] {
    ended_.store(true);
    Wake();
  });
  return {};
}

Outcome DataPlane::Open(Reader& reader, Fds& /*fds*/) {
  const auto requests = ReadOpen(reader);
  if (!requests) return Outcome::Malformed();
  HostSockets opened = OpenAll(*requests);
  if (opened.failure) return Outcome::Of(*opened.failure, opened.sockets.size());
  Writer ports;
  ports.U32(static_cast<uint32_t>(opened.sockets.size()));
  for (HostSocket& socket : opened.sockets) {
    ports.U16(socket.port);
    pending_.push_back(std::move(socket));
  }
  return {ports.Take()};
}

void DataPlane::Offer(const HostSocketRequest& like, UniqueFd socket) {
  offered_ = OfferedSocket{like, std::move(socket)};
}

HostSockets DataPlane::OpenAll(const std::vector<HostSocketRequest>& requests) const {
  const auto is_like = [](const HostSocketRequest& one, const HostSocketRequest& other) {
    // Of IPv4 that one flag says nothing.
    return one.protocol == other.protocol && one.address == other.address &&
           (one.ipv6_only == other.ipv6_only || !one.address.is_v6());
  };
  if (!offered_ || requests.size() != 1 || !is_like(requests.front(), offered_->like))
    return OpenHostSockets(requests);
  UniqueFd copy(fcntl(offered_->socket.get(), F_DUPFD_CLOEXEC, 0));
  HostSockets opened;
  if (copy.valid())
    opened.sockets.push_back(
        {std::move(copy), offered_->like.protocol, offered_->like.address.port()});
  else
    opened.failure = LastError("fcntl");
  return opened;
}

Outcome DataPlane::CloseSockets(Reader& /*reader*/, Fds& /*fds*/) {
  ClosePending();
  return {};
}

Outcome DataPlane::FindNetns(Reader& reader, Fds& /*fds*/) {
  const std::string path = reader.Text();
  if (!reader.ok() || path.find('\0') != std::string::npos) return Outcome::Malformed();
  auto slot = netns_.Find(path);
  if (!slot.ok()) return Outcome::Of(slot.error());
  Writer found;
  found.U32(slot.value());
  found.U64(netns_.at(slot.value()).dev);
  found.U64(netns_.at(slot.value()).ino);
  return {found.Take()};
}

Outcome DataPlane::ReleaseNetns(Reader& reader, Fds& /*fds*/) {
  const uint32_t slot = reader.U32();
  if (!reader.ok() || !netns_.Has(slot)) return Outcome::Malformed();
  netns_.Release(slot);
  return {};
}

Outcome DataPlane::PrepareTransparent(Reader& reader, Fds& /*fds*/) {
  const uint32_t slot = reader.U32();
  if (!reader.ok() || !netns_.Has(slot)) return Outcome::Malformed();
  const NetnsPtr& netns = netns_.at(slot).netns;
  const auto outcome = PrepareTransparency(netns ? netns->fd() : -1);
  return outcome.ok() ? Outcome() : Outcome::Of(outcome.error());
}

Outcome DataPlane::Add(Reader& reader, Fds& /*fds*/) {
  Outcome outcome = AddAll(reader);
  if (!outcome.ok()) pending_.clear();
  return outcome;
}

Outcome DataPlane::AddAll(Reader& reader) {
  const auto entries = ReadAdd(reader);
  if (!entries || !engine_) return Outcome::Malformed();
  std::vector<ForwardConfig> configs;
  for (size_t i = 0; i < entries->size(); ++i) {
    if (!AppendForwards((*entries)[i], configs)) return Outcome::Malformed(i);
  }
  if (!AreNew(configs)) return Outcome::Malformed();
  // From here on they are the configs'.
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<ptrdiff_t>(configs.size()));
  const auto added = engine_->Add(configs);
  if (!added.ok()) return Outcome::Of(added.error());
  for (const ForwardConfig& config : configs)
    next_id_ = std::max(next_id_, config.id + 1);
  return {};
}

bool DataPlane::AppendForwards(const AddEntry& entry, std::vector<ForwardConfig>& configs) {
  if (!netns_.Has(entry.slot) || entry.count > pending_.size() - configs.size()) return false;
  Target target{netns_.at(entry.slot).netns, entry.target};
  ForwardConfig config;
  config.protocol = entry.protocol;
  config.owner = kOwner;
  config.session_log = session_log_;
  const AdmissionRulesPtr rules = Configure(config, entry.fields);
  for (int offset = 0; offset < entry.count; ++offset) {
    HostSocket& socket = pending_[configs.size()];
    if (socket.protocol != config.protocol) return false;
    config.id = entry.first_id + offset;
    config.host_socket = std::make_shared<const UniqueFd>(std::move(socket.fd));
    target.address.set_port(static_cast<uint16_t>(entry.target.port() + offset));
    config.target = std::make_shared<const Target>(target);
    if (rules) config.admission = std::make_shared<Admission>(rules);
    configs.push_back(config);
  }
  return true;
}

bool DataPlane::AreNew(const std::vector<ForwardConfig>& configs) {
  std::set<int> ids;
  return std::all_of(configs.begin(), configs.end(), [&](const ForwardConfig& config) {
    return ids.insert(config.id).second && !engine_->Has(config.id);
  });
}

Outcome DataPlane::Retarget(Reader& reader, Fds& /*fds*/) {
  const auto entries = ReadRetarget(reader);
  if (!entries || !engine_) return Outcome::Malformed();
  std::vector<std::pair<int, TargetPtr>> changes;
  for (size_t i = 0; i < entries->size(); ++i) {
    const RetargetEntry& entry = (*entries)[i];
    const TargetPtr before = engine_->TargetOf(entry.id);
    const bool stays = entry.slot == -1;
    if (!before || !(stays || netns_.Has(entry.slot))) return Outcome::Malformed(i);
    const NetnsPtr& netns =
        stays ? before->netns : netns_.at(static_cast<uint32_t>(entry.slot)).netns;
    changes.emplace_back(entry.id, std::make_shared<const Target>(Target{netns, entry.address}));
  }
  engine_->Retarget(changes);
  return {};
}

bool DataPlane::MoveAll(const std::string& container_address) {
  if (!engine_) return false;
  std::vector<std::pair<int, TargetPtr>> changes;
  for (const ForwardInfo& forward : engine_->Forwards()) {
    if (forward.draining) continue;
    const Target& before = *forward.target;
    auto address = PlainTarget(container_address, forward.host);
    // A change of what leads into the host, or of what servers are shown, needs more than this.
    if (!address || forward.source_address == SourceAddress::kTransparent ||
        !netns_.IsElsewhere(before.netns))
      return false;
    address->set_port(before.address.port());
    changes.emplace_back(forward.id,
                         std::make_shared<const Target>(Target{before.netns, *address}));
  }
  engine_->Retarget(changes);
  NoteOwn("containerAddress", container_address);
  return true;
}

Outcome DataPlane::Remove(Reader& reader, Fds& /*fds*/) {
  const auto section = ReadRemove(reader);
  if (!section || !engine_) return Outcome::Malformed();
  engine_->Remove(section->ids, section->drain_micros);
  return {};
}

std::vector<int> DataPlane::Ids() const {
  std::vector<int> ids;
  if (!engine_) return ids;
  for (const ForwardInfo& forward : engine_->Forwards())
    ids.push_back(forward.id);
  return ids;
}

Outcome DataPlane::Stats(Reader& reader, Fds& /*fds*/) {
  const auto ids = ReadIds(reader);
  if (!ids || !engine_) return Outcome::Malformed();
  if (ids->size() > kMaxPayloadBytes / kStatsBytes) return Outcome::Of({-EMSGSIZE, "section"});
  ForwardCounters all;
  if (std::find(ids->begin(), ids->end(), kAll) != ids->end()) engine_->SumOf(kOwner, all);
  Writer records;
  records.Reserve(sizeof(uint32_t) + ids->size() * kStatsBytes);
  records.U32(static_cast<uint32_t>(ids->size()));
  auto next = ids->begin();
  engine_->SumEach(
      *ids, [&](const ForwardCounters& sum) { WriteStats(*next++ == kAll ? all : sum, records); });
  return {records.Take()};
}

std::string DataPlane::LastWords() {
  ForwardCounters sum;
  if (engine_) {
    engine_->Close();
    engine_->SumOf(kOwner, sum);
  }
  std::vector<EndedSession> ended;
  if (session_log_) (void)session_log_->Take(std::numeric_limits<size_t>::max(), ended);
  Writer words;
  WriteStats(sum, words);
  WriteAllEnded(ended, words);
  return words.Take();
}

Outcome DataPlane::Sessions(Reader& /*reader*/, Fds& /*fds*/) {
  if (!engine_) return Outcome::Malformed();
  const std::vector<SessionInfo> sessions = engine_->Sessions();
  Writer list;
  list.U32(static_cast<uint32_t>(sessions.size()));
  for (const SessionInfo& session : sessions)
    WriteSession(session, list);
  return {list.Take()};
}

Outcome DataPlane::TakeEnded(Reader& reader, Fds& /*fds*/) {
  const uint32_t most = reader.U32();
  if (!reader.ok()) return Outcome::Malformed();
  std::vector<EndedSession> taken;
  if (session_log_) (void)session_log_->Take(most, taken);
  Writer list;
  WriteAllEnded(taken, list);
  return {list.Take()};
}

void DataPlane::WriteCounterNames(Writer& writer) { shim::WriteCounterNames(writer); }

void DataPlane::WriteState(Writer& writer) {
  // First: they keep their namespaces, which are listed before them.
  const auto forwards = engine_ ? engine_->Forwards() : std::vector<ForwardInfo>();
  writer.I32(next_id_);
  netns_.WriteAll(writer);
  writer.U32(static_cast<uint32_t>(forwards.size()));
  for (const ForwardInfo& forward : forwards) {
    writer.I32(forward.id);
    writer.U8(static_cast<uint8_t>(forward.protocol));
    writer.U8(static_cast<uint8_t>(forward.source_address));
    writer.U8(forward.dual_stack ? 1 : 0);
    writer.U8(forward.draining ? 1 : 0);
    writer.U32(netns_.SlotOf(forward.target->netns));
    writer.Endpoint(forward.host);
    writer.Endpoint(forward.target->address);
  }
  writer.Bytes(blob_);
  writer.U32(static_cast<uint32_t>(own_notes_.size()));
  for (const auto& [name, value] : own_notes_) {
    writer.Text(name);
    writer.Text(value);
  }
}

}  // namespace spliceport::shim
