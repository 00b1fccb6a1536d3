// plane_support.h: requests to a DataPlane, written as the resident writes them, its answers, and a
//                  host that records what is passed on to it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "shim/data_plane.h"

namespace spliceport::shim {

class RecordingHost final : public DataPlaneHost {
 public:
  Result<void> OnReady(int exit_fd, int ready_fd, UniqueFd error_fd) override;
  void OnFail(std::string text) override { calls += "fail(" + text + ")"; }
  void OnWarn(std::string text) override { calls += "warn(" + text + ")"; }
  void OnReloadListener(ReloadListener listener) override;
  void OnControlListener(std::optional<ControlListener> listener) override;
  void OnReply(uint32_t client, std::string bytes) override;
  void OnKeep(bool keep) override { calls += keep ? "keep" : "do not keep"; }
  void OnRunOwn() override { calls += "own"; }
  void OnElectAgain() override { calls += "again"; }

  std::string calls;
  SysError ready_failure{0, ""};
  UniqueFd error_output;
  std::optional<ReloadListener> reload;
  std::optional<ControlListener> control;
};

using Section = std::pair<char, std::string>;

std::string RequestOf(const std::vector<Section>& sections, uint32_t seq = 7);

struct Answer {
  uint32_t seq = 0;
  int error = 0;
  uint32_t section = 0;
  uint32_t index = 0;
  std::string syscall;
  std::vector<std::string> results;

  bool Failed(int code, const std::string& call) const { return error == code && syscall == call; }
  bool IsMalformed() const { return Failed(-EINVAL, "section"); }
};

Answer AnswerFrom(const std::string& payload);

struct OpenEntry {
  Protocol protocol = Protocol::kTcp;
  uint16_t count = 1;
  std::string address = "127.0.0.1";
  uint16_t port = 0;
  bool ipv6_only = false;
};

struct AddedForwards {
  int first_id = 1;
  uint16_t count = 1;
  std::string address = "127.0.0.1";
  uint16_t port = 80;
  Protocol protocol = Protocol::kTcp;
  uint32_t slot = 0;
  uint8_t source_address = 0;
  uint32_t max_flows = 64;
  uint32_t max_sessions = 0;
  std::vector<std::string> allow;
  std::vector<std::string> trusted_proxies;
};

Section EngineOf(int workers = 2, bool tells_of_ends = false);
Section OpenOf(const std::vector<OpenEntry>& entries);
// Empty: the process's own.
Section NetnsOf(const std::string& path = "");
Section AddOf(const std::vector<AddedForwards>& entries);
struct RetargetTo {
  int id;
  int slot;
  std::string address;
  uint16_t port;
};
Section RetargetOf(const std::vector<RetargetTo>& entries);
Section RemoveOf(int64_t drain_millis, const std::vector<int>& ids);
Section StatsOf(const std::vector<int>& ids);
// A section whose only field is one of these.
Section NumberOf(char kind, uint32_t number);
Section TextOf(char kind, const std::string& text);

// A DataPlane with its host.
struct Plane {
  RecordingHost host;
  DataPlane data{host};

  Answer Do(const std::vector<Section>& sections, std::vector<UniqueFd> fds = {}) {
    return AnswerFrom(data.Execute(RequestOf(sections), std::move(fds)));
  }
  // The ports of the sockets that it opens, which must work.
  std::vector<uint16_t> Open(const std::vector<OpenEntry>& entries);
};

// What a hello says, as far as the DataPlane writes it.
struct State {
  struct Namespace {
    uint32_t slot = 0;
    std::string path;
    uint64_t dev = 0;
    uint64_t ino = 0;
  };
  struct Entry {
    int id = 0;
    uint8_t protocol = 0;
    uint8_t source_address = 0;
    bool dual_stack = false;
    bool draining = false;
    uint32_t slot = 0;
    Address host;
    Address target;
  };
  int next_id = 0;
  std::vector<Namespace> namespaces;
  std::vector<Entry> forwards;
  std::string blob;
  std::map<std::string, std::string> own_notes;
};
State StateOf(DataPlane& plane);

// The counters of a stats record, by name.
struct StatsRecord {
  uint64_t sessions_open = 0;
  std::vector<std::pair<std::string, uint64_t>> counters;
  std::vector<uint64_t> latency;
  int connect_error = 0;

  uint64_t of(const std::string& name) const;
};
std::vector<StatsRecord> StatsFrom(const std::string& result);

}  // namespace spliceport::shim
