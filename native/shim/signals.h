// signals.h: what signals do to this process: SIGTERM, SIGINT and SIGHUP can be read from a
//            descriptor, SIGPIPE and SIGUSR1 are ignored.
// Owns:   the descriptor, and what signals did before.
// Thread: the main one. Workers block all signals.
#pragma once

#include <array>
#include <csignal>

#include "base/result.h"
#include "base/unique_fd.h"

namespace spliceport::shim {

class Signals {
 public:
  // Ignores what is to be ignored. Those that end the process do so, until Watch.
  Signals();
  // From now on they can be read from fd().
  Result<void> Watch();
  int fd() const { return fd_.get(); }
  // Leaves signals to the program that is executed next as this process got them.
  void Restore();

 private:
  static constexpr std::array kIgnored{SIGPIPE, SIGUSR1};
  std::array<struct sigaction, kIgnored.size()> before_{};
  sigset_t mask_before_{};
  UniqueFd fd_;
};

}  // namespace spliceport::shim
