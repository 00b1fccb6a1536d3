#include "shim/plain_start.h"

#include <sys/stat.h>

#include <vector>

#include "relay/setting_fields.h"
#include "shim/election.h"
#include "shim/own_folder.h"
#include "shim/own_request.h"
#include "shim/settings_file.h"
#include "shim/surroundings.h"

namespace spliceport::shim {

namespace {

// The first that is opened.
constexpr uint32_t kSlot = 0;
constexpr uint32_t kFirstId = 1;
// Of the sections E, O and N: which has the namespace.
constexpr size_t kNetnsResult = 2;

// What the resident asks of those who may have one, asked before anything is done without it.
bool MayHaveResident() {
  auto name = ResidentName();
  return name && Election::Open(ResidentFolder(), std::move(*name)).ok() && MayFound();
}

ControlFolder FindControlFolderOf(const PlainConfig& config) {
  return FindControlFolder(config.folder + "/spliceport");
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
      !IsPlainPath(FindControlFolderOf(*config).path) || !IsWithoutSettings() || !MayHaveResident())
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
  OwnRequest request;
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
  OwnRequest request;
  request.Add('E', DefaultEngine(EngineFields().workers));
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
    WriteDefaultSettings(forwards);
    id += range.count;
  }
  OwnRequest request;
  request.Add('A', std::move(forwards));
  return request.ExecuteIn(data_plane).has_value();
}

bool PlainStart::ListenForReloads(DataPlane& data_plane) const {
  auto folder = OpenOwnFolder(config_.folder + "/rp", IfOpen::kClose);
  if (!folder.ok()) return false;
  auto socket =
      ListenInPlace(UnixType::kSeqpacket, std::move(folder.value()), config_.container_id);
  if (!socket.ok()) return false;
  OwnRequest request;
  Writer listener;
  listener.U8(0);
  request.AddListener(std::move(socket.value()), listener);
  request.Add('L', std::move(listener));
  return request.ExecuteIn(data_plane).has_value();
}

bool PlainStart::ListenForControl(DataPlane& data_plane) const {
  return shim::ListenForControl(data_plane, FindControlFolderOf(config_));
}

}  // namespace spliceport::shim
