// docker_process.h: dockerd's userland proxy: one port and one protocol, from dockerd's command to
//                   the signal that ends it. It is a shim but for who starts and ends it, so a
//                   resident serves it as any other.
// Owns:   as Process; the host socket until the resident or this process itself forwards it.
// Thread: the main one.
// Fails:  without a resident it relays all the same; without an engine, Run returns nothing, and
//         failure() says why.
#pragma once

#include <cstddef>
#include <string>

#include "docker/arguments.h"
#include "docker/daemon.h"
#include "shim/process.h"

namespace spliceport::shim {

class DockerProcess final : public Process {
 public:
  // What dockerd wants. The rest is as for Process, and outlives it.
  struct Work {
    docker::Daemon& daemon;
    docker::Order order;
    // The host socket is there already.
    bool has_listener = false;
  };
  DockerProcess(Loop& loop, Caller& caller, Signals& signals, const Installation& installation,
                const Work& work);

  const std::string& failure() const { return failure_; }

 private:
  bool StartAlone() override;
  void OnSignal() override;
  void OnNobody(const std::string& reason) override;
  void OnGone() override;
  int LastWordsMillis() const override { return 0; }
  Result<void> OnReady(int exit_fd, int ready_fd, UniqueFd error_fd) override;
  void OnFail(std::string text) override;
  void OnWarn(std::string text) override;

  bool OfferHostSocket();
  void StartPlainly();
  bool Forward();
  // Opens the container's namespace, or this process's own if there is none; its slot.
  bool FindSlot(uint32_t& slot);
  // For the resident.
  void Describe();
  void LookLater();
  void LookAgain();
  void Drain();

  Caller& caller_;
  Signals& signals_;
  const Work work_;
  // The path of the container's namespace; empty: connections cross the bridge.
  std::string sandbox_;
  std::string failure_;
  size_t looks_ = 0;
  bool drains_ = false;
  Alarm look_;
  Alarm deadline_;
};

}  // namespace spliceport::shim
