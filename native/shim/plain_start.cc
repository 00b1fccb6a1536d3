#include "shim/plain_start.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "base/environment.h"
#include "relay/setting_fields.h"
#include "shim/election.h"
#include "shim/own_folder.h"
#include "shim/settings_file.h"
#include "shim/surroundings.h"

namespace spliceport::shim {

namespace {

// The first that is opened.
constexpr uint32_t kSlot = 0;
constexpr uint32_t kFirstId = 1;
// Of the sections E, O and N: which has the namespace.
constexpr size_t kNetnsResult = 2;

// A request to this process itself, as a resident would make it.
class Request {
 public:
  Request() { bytes_.U32(0); }

  void Add(char kind, Writer section) {
    bytes_.U8(static_cast<uint8_t>(kind));
    bytes_.Bytes(section.Take());
  }
  void Attach(UniqueFd fd) { fds_.push_back(std::move(fd)); }

  // The results of its sections; nothing if one has failed.
  std::optional<std::vector<std::string>> ExecuteIn(DataPlane& data_plane) {
    const std::string answer = data_plane.Execute(bytes_.Take(), std::move(fds_));
    Reader reader(answer);
    (void)reader.U32();
    if (reader.I32() != 0) return std::nullopt;
    (void)reader.U32();
    (void)reader.U32();
    (void)reader.Text();
    std::vector<std::string> results(reader.U32());
    for (std::string& result : results)
      result = reader.Text();
    return results;
  }

 private:
  Writer bytes_;
  std::vector<UniqueFd> fds_;
};

// Where the control socket goes; `is_own`: nobody has chosen the folder, so it is removed with the
// last socket in it.
struct ControlFolder {
  std::string path;
  bool is_own = true;
};

ControlFolder FindControlFolder(const PlainConfig& config) {
  if (std::string chosen = Variable("SPLICEPORT_CONTROL_DIR"); !chosen.empty())
    return {std::move(chosen), false};
  const std::string runtime = Variable("XDG_RUNTIME_DIR");
  return {(runtime.empty() ? config.folder : runtime) + "/spliceport"};
}

// What the resident asks of those who may have one, asked before anything is done without it.
bool MayHaveResident() {
  auto name = ResidentName();
  return name && Election::Open(ResidentFolder(), std::move(*name)).ok() && MayFound();
}

// A setting of each type; nobody is in a list by default.
void Write(Writer& writer, uint32_t value) { writer.U32(value); }
void Write(Writer& writer, uint64_t value) { writer.U64(value); }
void Write(Writer& writer, bool value) { writer.U8(value ? 1 : 0); }
void Write(Writer& writer, const CidrList& /*value*/) { writer.U32(0); }

// The engine and the forwards of a plain start have the defaults, and those of settings that were
// added later need not be said.
Writer Engine() {
  EngineFields fields;
  fields.workers = std::clamp(std::thread::hardware_concurrency(), 1U, fields.workers);
  Writer engine;
  EachEngineField(fields, [&](const char* /*name*/, auto value) { Write(engine, value); });
  engine.U8(0);  // Nobody logs sessions.
  return engine;
}

void WriteDefaults(Writer& forwards) {
  const ForwardFields fields;
  EachForwardField(fields,
                   [&](const char* /*name*/, const auto& value) { Write(forwards, value); });
}

void WriteListener(NamedSocket socket, Writer& section, Request& request) {
  section.Text(socket.name);
  section.U64(socket.dev);
  section.U64(socket.ino);
  request.Attach(std::move(socket.listener));
  request.Attach(std::move(socket.folder));
}

// Forwards into the host's own namespace may lead to each other in a circle, which is for the
// resident to find out.
bool IsHosts(std::string_view result) {
  Reader netns(result);
  (void)netns.U32();
  const uint64_t device = netns.U64();
  const uint64_t inode = netns.U64();
  return IsProcessesOwn(device, inode);
}

}  // namespace

std::optional<PlainStart> PlainStart::Of(const Caller& caller) {
  const std::vector<char>& json = caller.configuration();
  auto config = ReadPlainConfig({json.data(), json.size()});
  if (!config || !caller.HasPassed(config->exit_fd) || !caller.HasPassed(config->ready_fd) ||
      !IsPlainPath(FindControlFolder(*config).path) || !IsWithoutSettings() || !MayHaveResident())
    return std::nullopt;
  return PlainStart(std::move(*config));
}

bool PlainStart::Run(DataPlane& data_plane) const {
  const std::string folder = config_.folder + "/rp";
  struct stat facts {};
  if (mkdir(folder.c_str(), S_IRWXU) != 0 &&
      (errno != EEXIST || stat(folder.c_str(), &facts) != 0 || !S_ISDIR(facts.st_mode)))
    return false;
  if (!OpenPorts(data_plane) || !AddForwards(data_plane)) return false;
  if (config_.wants_reload_socket && !ListenForReloads(data_plane)) return false;
  Writer ready;
  ready.I32(config_.exit_fd);
  ready.I32(config_.ready_fd);
  ready.U8(0);
  Request request;
  request.Add('R', std::move(ready));
  return request.ExecuteIn(data_plane).has_value();
}

bool PlainStart::OpenPorts(DataPlane& data_plane) const {
  Writer sockets;
  sockets.U32(static_cast<uint32_t>(config_.ranges.size()));
  for (const PlainRange& range : config_.ranges) {
    sockets.U8(static_cast<uint8_t>(range.protocol));
    sockets.U8(range.is_dual_stack ? 0 : 1);
    sockets.U16(range.count);
    sockets.Endpoint(range.host);
  }
  Writer netns;
  netns.Text(config_.netns_path);
  Request request;
  request.Add('E', Engine());
  request.Add('O', std::move(sockets));
  request.Add('N', std::move(netns));
  const auto results = request.ExecuteIn(data_plane);
  return results && !IsHosts(results->at(kNetnsResult));
}

bool PlainStart::AddForwards(DataPlane& data_plane) const {
  Writer forwards;
  forwards.U32(static_cast<uint32_t>(config_.ranges.size()));
  uint32_t id = kFirstId;
  for (const PlainRange& range : config_.ranges) {
    forwards.I32(static_cast<int32_t>(id));
    forwards.U8(static_cast<uint8_t>(range.protocol));
    forwards.U8(static_cast<uint8_t>(ForwardFields().source_address));
    forwards.U32(kSlot);
    forwards.U16(range.count);
    forwards.Endpoint(range.target);
    WriteDefaults(forwards);
    id += range.count;
  }
  Request request;
  request.Add('A', std::move(forwards));
  return request.ExecuteIn(data_plane).has_value();
}

bool PlainStart::ListenForReloads(DataPlane& data_plane) const {
  auto folder = OpenOwnFolder(config_.folder + "/rp", IfOpen::kClose);
  if (!folder.ok()) return false;
  auto socket =
      ListenInPlace(UnixType::kSeqpacket, std::move(folder.value()), config_.container_id);
  if (!socket.ok()) return false;
  Request request;
  Writer listener;
  listener.U8(0);
  WriteListener(std::move(socket.value()), listener, request);
  request.Add('L', std::move(listener));
  return request.ExecuteIn(data_plane).has_value();
}

bool PlainStart::ListenForControl(DataPlane& data_plane) const {
  const ControlFolder folder = FindControlFolder(config_);
  auto socket = ListenForControlIn(folder.path);
  if (!socket.ok()) {
    if (folder.is_own) rmdir(folder.path.c_str());
    return false;
  }
  const std::string path = folder.path + "/" + socket.value().name;
  Request request;
  Writer listener;
  WriteListener(std::move(socket.value()), listener, request);
  listener.Text(folder.is_own ? folder.path : "");
  request.Add('C', std::move(listener));
  if (!request.ExecuteIn(data_plane)) return false;
  data_plane.NoteOwn("controlPath", path);
  return true;
}

}  // namespace spliceport::shim
