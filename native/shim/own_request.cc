#include "shim/own_request.h"

#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "base/environment.h"
#include "base/errno_text.h"
#include "relay/setting_fields.h"

namespace spliceport::shim {

namespace {

// A setting of each type; nobody is in a list by default.
void Write(Writer& writer, uint32_t value) { writer.U32(value); }
void Write(Writer& writer, uint64_t value) { writer.U64(value); }
void Write(Writer& writer, bool value) { writer.U8(value ? 1 : 0); }
void Write(Writer& writer, const CidrList& /*value*/) { writer.U32(0); }

}  // namespace

void OwnRequest::Add(char kind, Writer section) {
  bytes_.U8(static_cast<uint8_t>(kind));
  bytes_.Bytes(section.Take());
}

void OwnRequest::AddListener(NamedSocket socket, Writer& section) {
  section.Text(socket.name);
  section.U64(socket.dev);
  section.U64(socket.ino);
  Attach(std::move(socket.listener));
  Attach(std::move(socket.folder));
}

std::optional<std::vector<std::string>> OwnRequest::ExecuteIn(DataPlane& data_plane) {
  const std::string answer = data_plane.Execute(bytes_.Take(), std::move(fds_));
  Reader reader(answer);
  (void)reader.U32();
  const int error = reader.I32();
  (void)reader.U32();
  (void)reader.U32();
  const std::string call = reader.Text();
  if (error != 0) {
    failure_ = call + ": " + ErrnoText(-error);
    return std::nullopt;
  }
  std::vector<std::string> results(reader.U32());
  for (std::string& result : results)
    result = reader.Text();
  return results;
}

Writer DefaultEngine(uint32_t most_workers) {
  EngineFields fields;
  fields.workers = std::clamp(std::thread::hardware_concurrency(), 1U, most_workers);
  Writer engine;
  EachEngineField(fields, [&](const char* /*name*/, auto value) { Write(engine, value); });
  engine.U8(0);  // Nobody logs sessions.
  return engine;
}

void WriteDefaultSettings(Writer& forwards) {
  const ForwardFields fields;
  EachForwardField(fields,
                   [&](const char* /*name*/, const auto& value) { Write(forwards, value); });
}

ControlFolder FindControlFolder(const std::string& fallback) {
  if (std::string chosen = Variable("SPLICEPORT_CONTROL_DIR"); !chosen.empty())
    return {std::move(chosen), false};
  const std::string runtime = Variable("XDG_RUNTIME_DIR");
  return {runtime.empty() ? fallback : runtime + "/spliceport"};
}

bool ListenForControl(DataPlane& data_plane, const ControlFolder& folder) {
  auto socket = ListenForControlIn(folder.path);
  if (!socket.ok()) {
    if (folder.is_own) rmdir(folder.path.c_str());
    return false;
  }
  const std::string path = folder.path + "/" + socket.value().name;
  OwnRequest request;
  Writer listener;
  request.AddListener(std::move(socket.value()), listener);
  listener.Text(folder.is_own ? folder.path : "");
  request.Add('C', std::move(listener));
  if (!request.ExecuteIn(data_plane)) return false;
  data_plane.NoteOwn("controlPath", path);
  return true;
}

}  // namespace spliceport::shim
