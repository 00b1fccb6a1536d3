// daemon.h: what dockerd, which has started this process, is told. It reads a pipe, this process's
//           descriptor 3, waits 16 seconds for an answer, and shows the user what it gets.
// Owns:   the descriptor, until the answer. Make it before anything is opened.
// Thread: the main one.
#pragma once

#include <string>
#include <string_view>

namespace spliceport::docker {

// The number of the host socket that dockerd opens.
inline constexpr int kListenerFd = 4;

class Daemon {
 public:
  Daemon();
  void SayReady();
  // Says why there is no proxy, on standard error too. Returns the exit code.
  int SayFailure(std::string_view reason);

 private:
  void Answer(std::string_view text);
  bool listens_ = false;
};

// For the log of the system and standard error, as dockerd's proxies have no output that is kept.
void Log(const std::string& text);

}  // namespace spliceport::docker
