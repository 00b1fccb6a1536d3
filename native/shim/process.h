// process.h: the life of this process, from a configuration to the end that its caller sets. It
//            does what the resident says; what carries bytes goes on without one. The caller is
//            Podman; what another one wants differently, a subclass does.
// Owns:   the data plane, the sockets that clients call at, and the connection with the resident.
// Thread: the main one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shim/caller.h"
#include "shim/control_clients.h"
#include "shim/data_plane.h"
#include "shim/installation.h"
#include "shim/lingering.h"
#include "shim/loop.h"
#include "shim/reload_clients.h"
#include "shim/resident_link.h"
#include "shim/signals.h"

namespace spliceport::shim {

class Process : protected DataPlaneHost, private ResidentLink::Owner {
 public:
  Process(Loop& loop, Caller& caller, Signals& signals, const Installation& installation);
  virtual ~Process() = default;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // The exit code; none if this process must become the helper that needs no resident. Then
  // nothing is left of what it has done.
  std::optional<int> Run();

 protected:
  // Starts the container without a resident. False: that is for one, and nothing is left.
  virtual bool StartAlone();
  // One of those that can be read from the descriptor has come.
  virtual void OnSignal() { End(0); }
  // Before ready, there is no resident to be had.
  virtual void OnNobody(const std::string& /*reason*/) { GiveUp(); }
  // Removed forwards have come to their end.
  virtual void OnGone() {}
  // How long a resident that does not read may hold up the end.
  virtual int LastWordsMillis() const;
  Result<void> OnReady(int exit_fd, int ready_fd, UniqueFd error_fd) override;
  void OnFail(std::string text) override;
  void OnWarn(std::string text) override;

  bool goes_on() const { return next_ == Next::kGoOn; }
  bool is_ready() const { return is_ready_; }
  // The caller has been told.
  void BecomeReady();
  void End(int code);
  // In place of this process comes the helper that needs no resident.
  void GiveUp();
  // As before the start.
  void Undo();
  // Has a resident come, and keeps one until it says otherwise.
  void KeepResident();
  // The resident has to know what this process has done by itself: the next hello says it.
  void IntroduceAgain();
  void WatchEngine();
  DataPlane& data_plane() { return data_plane_; }

 private:
  enum class Next : uint8_t { kGoOn, kEnd, kOwnProcess };

  void OnReloadListener(ReloadListener listener) override;
  void OnControlListener(std::optional<ControlListener> listener) override;
  void OnReply(uint32_t client, std::string bytes) override;
  void OnKeep(bool keep) override;
  void OnRunOwn() override;
  void OnElectAgain() override;

  void OnAlive() override;
  void OnRequest(Frame request) override;
  void OnRoom() override;
  void OnLost(Loss loss, const std::string& reason) override;

  // The answer to a request that needs no resident.
  std::optional<std::string> AnswerAlone(uint32_t client, std::string_view request);
  void OnExitFd();
  void OnEngine();
  std::optional<std::string> AskFor(uint32_t client, std::string_view request);
  void PassOn(int client);
  // Has the resident come if somebody waits for it.
  void CallResident();
  void TryAgain(const std::string& reason);

  Loop& loop_;
  Caller& caller_;
  Signals& signals_;
  const int64_t begin_micros_ = NowMicros();
  Next next_ = Next::kGoOn;
  int exit_code_ = 0;
  bool is_ready_ = false;
  bool keeps_ = false;
  bool leaves_resident_ = false;
  bool has_told_of_ends_ = false;
  int tries_ = 0;
  int64_t keep_pause_millis_ = 0;
  int64_t alive_since_micros_ = 0;

  Watch signal_watch_;
  Watch engine_watch_;
  Watch exit_watch_;
  UniqueFd exit_fd_;
  Alarm retry_;
  Lingering lingering_;
  ReloadClients reload_;
  ControlClients control_;
  DataPlane data_plane_;
  ResidentLink link_;
};

}  // namespace spliceport::shim
